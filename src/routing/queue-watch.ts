// Whether requests wait longer for this worker than it is worth. They wait at two places: before the event loop, where what comes while it
// has a turn waits in the kernel until the next one, so that the length of a turn is the time that requests wait; and behind it, for one of
// the connections to a backend, which a full loop frees too late. A burst makes either queue long for a while, and is absorbed; a queue
// that stands is long for as long as one looks (the principle of CoDel). Only then is anything refused: by chance, as large a share of all
// as keeps the wait where it should be (the principle of PIE, RFC 8033), since to refuse costs half of serving, and more would only
// take from what is served.
import type { Clock, Timer } from '../lifecycle/clock.js';

/** A queue behind the event loop: see CallQueue. */
export interface QueueBehind {
  /** Of the last one in it, because of this worker; as far as is known since the last look. */
  readonly delayMs: number;
  look(turns: number, elapsedMs: number): number;
  forget(): void;
}

export interface QueueWatchOptions {
  readonly clock: Clock;
  /** `limits.queueDelay`, ms, asked when it is needed; 0: nothing is refused. */
  readonly boundMs: () => number;
  /** Share of the time since it was asked last in which the event loop had work, 0 to 1. */
  readonly busyShare: () => number;
  /** Runs when the turn of the event loop that is under way ends. */
  readonly afterTurn: (run: () => void) => void;
  /** The queues behind the event loop. */
  readonly callQueues: Iterable<QueueBehind>;
  /** Evenly between 0 and 1; default `Math.random`. */
  readonly random?: () => number;
}

const LOOK_MS = 50;
/** So long must a queue stand: clients that all come again after a deploy are served late rather than not at all. */
export const PATIENCE_MS = 1000;
/** Of a loop that sleeps now and then nobody waits for long: turns are not timed. */
const WATCHED_SHARE = 0.5;
/** A loop that had time to spare had emptied its queue. */
const FULL_SHARE = 0.98;
/** Of the bound: the wait that an overloaded worker aims at. Far below the bound, since an answer waits for two or three turns. */
const AIM = 1 / 10;
/** How much the refused share follows, at each look: how far the wait is from its aim (in aims), how fast it grows, idle time. */
const BY_DISTANCE = 0.05;
const BY_GROWTH = 0.3;
const BY_IDLE = 0.7;
const BY_EXCESS = 0.1;
/** Of a look, in the mean of idle time; and the mean at which the load fits again. An overloaded worker that is steered well has 1 or 2 %. */
const IDLE_WEIGHT = 0.2;
const RECOVERED_IDLE = 0.06;
/** Somebody is always served: else it would not show that the load has fallen. */
const MOST_REFUSED = 0.95;
/** Until it is known better. */
const FIRST_REFUSED = 0.3;
/** What opens a session makes more load, and is refused so much more often. */
const OPENING = 2;
/**
 * Clients that wait for each answer before they ask again never leave an idle moment, although all of them together fit below the bound.
 * Whether that is so shows only when nothing is refused up to the bound, for so long that a queue of 5 % too much would have reached it.
 */
const TRIAL_EVERY_MS = 30_000;
const TRIAL_MS = 500;

export class QueueWatch {
  readonly #options: QueueWatchOptions;
  readonly #random: () => number;
  readonly #timer: Timer;
  readonly #endTurn = () => this.#onTurnEnd();
  #isTimed = false;
  #isOverloaded = false;
  /** When the turn under way saw its first request; undefined: it has not seen one, or turns are not timed. */
  #turnSinceMs: number | undefined;
  /** Since the last look. */
  #turns = 0;
  #turnsMs = 0;
  #shortestMs = Number.POSITIVE_INFINITY;
  #lastLookMs: number;
  /** Since when every turn, or a queue of calls, was too long. */
  #standingSinceMs: number | undefined;
  /** While overloaded: of all requests. */
  #refusedShare = 0;
  /** Of late: a moving mean over some quarter of a second. */
  #idleShare = 0;
  /** At the last look. */
  #delayMs = 0;
  #isTrial = false;
  #lastTrialMs = 0;

  constructor(options: QueueWatchOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#lastLookMs = options.clock.monotonicMs();
    this.#timer = options.clock.every(LOOK_MS, () => this.#look());
  }

  get isOverloaded(): boolean {
    return this.#isOverloaded;
  }

  /**
   * To be asked for each request, once: the first one of a turn begins its time.
   * @param opens a session
   */
  mustRefuse(opens: boolean): boolean {
    // The hot path: below half of what the worker can do nothing is timed.
    if (!this.#isTimed) return false;
    if (this.#turnSinceMs === undefined) {
      this.#turnSinceMs = this.#options.clock.monotonicMs();
      this.#options.afterTurn(this.#endTurn);
    }
    if (!this.#isOverloaded) return false;
    if (this.#isTrial) return this.#failsTrial(this.#turnSinceMs);
    // What has gathered beyond the bound is worked off before more is accepted.
    const share = this.#delayMs > this.#options.boundMs() ? MOST_REFUSED : this.#refusedShare;
    return this.#random() < (opens ? Math.min(share * OPENING, MOST_REFUSED) : share);
  }

  stop(): void {
    this.#timer.cancel();
  }

  #onTurnEnd(): void {
    if (this.#turnSinceMs === undefined) return;
    const lengthMs = this.#options.clock.monotonicMs() - this.#turnSinceMs;
    this.#turns += 1;
    this.#turnsMs += lengthMs;
    this.#shortestMs = Math.min(this.#shortestMs, lengthMs);
    this.#turnSinceMs = undefined;
  }

  #look(): void {
    const { clock, boundMs, busyShare } = this.#options;
    const busy = busyShare();
    const bound = boundMs();
    const nowMs = clock.monotonicMs();
    const elapsedMs = nowMs - this.#lastLookMs;
    const isFull = bound > 0 && busy >= FULL_SHARE && this.#turns > 0;
    this.#isTimed = bound > 0 && busy >= WATCHED_SHARE;
    const callsMs = this.#lookAtCalls(isFull, elapsedMs);
    const delayMs = isFull ? Math.max(this.#turnsMs / this.#turns, callsMs) : 0;
    if (!this.#isOverloaded) this.#judge(isFull && Math.max(this.#shortestMs, callsMs) > bound, nowMs);
    else {
      if (isFull) this.#steer(delayMs, bound, elapsedMs);
      else this.#relax(bound > 0 && this.#turns > 0 ? busy : 0);
      this.#judgeEnd(bound > 0 && this.#turns > 0 ? busy : 0, nowMs);
    }
    this.#delayMs = delayMs;
    this.#lastLookMs = nowMs;
    this.#turns = 0;
    this.#turnsMs = 0;
    this.#shortestMs = Number.POSITIVE_INFINITY;
  }

  /** A loop that is not full has calls waiting for a slow backend: no business of this one. @returns the longest wait */
  #lookAtCalls(isFull: boolean, elapsedMs: number): number {
    let longestMs = 0;
    for (const queue of this.#options.callQueues) {
      if (isFull) longestMs = Math.max(longestMs, queue.look(this.#turns, elapsedMs));
      else queue.forget();
    }
    return longestMs;
  }

  #judge(isStanding: boolean, nowMs: number): void {
    if (!isStanding) {
      this.#standingSinceMs = undefined;
      return;
    }
    // From the look before on: that is where began what was looked at.
    this.#standingSinceMs ??= nowMs - LOOK_MS;
    if (nowMs - this.#standingSinceMs < PATIENCE_MS) return;
    this.#isOverloaded = true;
    this.#refusedShare = FIRST_REFUSED;
    this.#lastTrialMs = nowMs;
    this.#idleShare = 0;
  }

  /** How fast a queue grows says how much too much is accepted; its length corrects what that misses. */
  #steer(delayMs: number, bound: number, elapsedMs: number): void {
    if (this.#isTrial) return;
    // What stands beyond the bound is worked off by refusing nearly all, which says nothing about what share will do afterwards; only that
    // it came to this.
    if (delayMs > bound) {
      if (this.#delayMs <= bound) this.#refusedShare = Math.min(this.#refusedShare + BY_EXCESS, MOST_REFUSED);
      return;
    }
    const aimMs = bound * AIM;
    const distance = clamp((delayMs - aimMs) / aimMs, -1, 2);
    const growth = clamp((delayMs - this.#delayMs) / elapsedMs, -0.5, 0.5);
    this.#refusedShare = clamp(this.#refusedShare + BY_DISTANCE * distance + BY_GROWTH * growth, 0, MOST_REFUSED);
  }

  /** The loop had time to spare: less by what would have filled it. */
  #relax(busy: number): void {
    this.#refusedShare = Math.max(0, this.#refusedShare - BY_IDLE * (1 - busy));
  }

  #judgeEnd(busy: number, nowMs: number): void {
    this.#idleShare += IDLE_WEIGHT * (1 - busy - this.#idleShare);
    const isTried = this.#isTrial && nowMs - this.#lastTrialMs >= TRIAL_MS;
    // Not at the first idle moment: where the load is just above what fits there is one now and then, and to wait for a standing queue each
    // time anew would let it grow each time.
    if ((this.#refusedShare === 0 && this.#idleShare > RECOVERED_IDLE) || isTried) {
      this.#isOverloaded = false;
      this.#isTrial = false;
      this.#refusedShare = 0;
      this.#standingSinceMs = undefined;
    } else if (!this.#isTrial && nowMs - this.#lastTrialMs >= TRIAL_EVERY_MS) {
      this.#isTrial = true;
      this.#lastTrialMs = nowMs;
    }
  }

  /** Also what opens a session is let through for as long as it lasts, or no trial would ever say what a load of those would do. */
  #failsTrial(turnSinceMs: number): boolean {
    const bound = this.#options.boundMs();
    let isTooLong = this.#options.clock.monotonicMs() - turnSinceMs > bound;
    for (const queue of this.#options.callQueues) if (queue.delayMs > bound) isTooLong = true;
    if (isTooLong) this.#isTrial = false;
    return isTooLong;
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
