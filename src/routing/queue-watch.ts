// Whether requests wait longer for this worker than it is worth. They wait at two places: before the event loop, where what comes while it
// has a turn waits in the kernel until the next one, so that the length of a turn is the time that requests wait; and behind it, for one of
// the connections to a backend, which a full loop frees too late. A burst makes either queue long for a while, and is absorbed; a queue
// that stands is long for as long as one looks (the principle of CoDel). Only then is anything refused: each turn accepts so many requests,
// its budget, and refuses the others. That is stable without knowing what a request costs: a longer turn finds more requests, but accepts
// no more of them, so it is followed by a shorter one as long as refusing alone does not fill the loop. What a refusal costs shows in
// how long turns are then; the budget follows that slowly, so that the loop stays full and nobody waits for long.
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
}

const LOOK_MS = 50;
/** So long must a queue stand: clients that all come again after a deploy are served late rather than not at all. */
export const PATIENCE_MS = 1000;
/** Nothing was refused for so long: the load fits again. A queue of 5 % too much would have grown to twice the bound. */
export const QUIET_MS = 2000;
/** Of a loop that sleeps now and then nobody waits for long: turns are not timed. */
const WATCHED_SHARE = 0.5;
/** A loop that had time to spare had emptied its queue. */
const FULL_SHARE = 0.98;
/** Of the bound: how long turns should be. What is accepted waits for two or three of them, and some vary; each has costs of its own. */
const AIM = 1 / 6;
/** By so much does the budget change at most, at each look: slower than turns come to the length that a budget makes, or both would swing. */
const MOST_STEP = 0.3;
/** Of what comes, somebody is always served: less would hardly make turns shorter. */
const LEAST_SHARE = 1 / 20;
/**
 * Clients that wait for each answer before they ask again use up any budget, although all of them together may fit below the bound.
 * Whether they do shows only when nothing is refused up to the bound.
 */
const TRIAL_EVERY_MS = 30_000;

export class QueueWatch {
  readonly #options: QueueWatchOptions;
  readonly #timer: Timer;
  readonly #endTurn = () => this.#onTurnEnd();
  #isTimed = false;
  #isOverloaded = false;
  /** When the turn under way saw its first request; undefined: it has not seen one, or turns are not timed. */
  #turnSinceMs: number | undefined;
  /** Since the last look: turns with requests, and what they took; requests, and how many of them were refused. */
  #turns = 0;
  #turnsMs = 0;
  #requests = 0;
  #refused = 0;
  #lastLookMs: number;
  /** Since when requests, or calls, waited too long. */
  #standingSinceMs: number | undefined;
  /** Requests for each turn, while overloaded; not a whole number. */
  #budget = 0;
  /** What the turn under way has left of it. */
  #left = 0;
  #lastRefusalMs = 0;
  #isTrial = false;
  #lastTrialMs = 0;

  constructor(options: QueueWatchOptions) {
    this.#options = options;
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
    this.#requests += 1;
    if (!this.#isOverloaded) return false;
    if (this.#isTrial && !this.#failsTrial(this.#turnSinceMs)) return false;
    // What opens a session makes more load: only the first half of a turn's budget is for it.
    if (this.#left >= (opens ? Math.max(1, this.#budget / 2) : 1)) {
      this.#left -= 1;
      return false;
    }
    this.#refused += 1;
    return true;
  }

  stop(): void {
    this.#timer.cancel();
  }

  #onTurnEnd(): void {
    if (this.#turnSinceMs === undefined) return;
    this.#turns += 1;
    this.#turnsMs += this.#options.clock.monotonicMs() - this.#turnSinceMs;
    this.#turnSinceMs = undefined;
    // Parts of a request are kept, for budgets below 1 above all; turns that did not use theirs up save nothing.
    this.#left = Math.min(this.#left, 1) + this.#budget;
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
    if (this.#turns > 0) {
      // Of all turns: the shortest would hide for long that most of those who wait do so for too long.
      const delayMs = isFull ? Math.max(this.#turnsMs / this.#turns, callsMs) : 0;
      if (this.#isOverloaded) this.#steer(delayMs, elapsedMs, bound);
      else this.#judge(delayMs > bound, nowMs, elapsedMs, bound);
    } else this.#standingSinceMs = undefined;
    if (this.#isOverloaded) this.#judgeEnd(nowMs, bound);
    this.#lastLookMs = nowMs;
    this.#turns = 0;
    this.#turnsMs = 0;
    this.#requests = 0;
    this.#refused = 0;
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

  #judge(isStanding: boolean, nowMs: number, elapsedMs: number, bound: number): void {
    if (!isStanding) {
      this.#standingSinceMs = undefined;
      return;
    }
    // From the look before on: that is where began what was looked at.
    this.#standingSinceMs ??= nowMs - LOOK_MS;
    if (nowMs - this.#standingSinceMs < PATIENCE_MS) return;
    this.#isOverloaded = true;
    // As many as come in a turn of the right length.
    this.#budget = (this.#requests / elapsedMs) * bound * AIM;
    this.#left = 0;
    this.#lastRefusalMs = nowMs;
    this.#lastTrialMs = nowMs;
  }

  /** @param delayMs 0: the loop had time to spare */
  #steer(delayMs: number, elapsedMs: number, bound: number): void {
    if (this.#isTrial) return;
    const least = (this.#requests / this.#turns) * LEAST_SHARE;
    // What comes within the bound: a budget that is not used up would become far too large for the time when it is again. But no bound
    // while the loop has time to spare: where a request takes much of the bound, turns are that long by chance.
    const most = delayMs > 0 ? Math.max(least, (this.#requests / elapsedMs) * bound) : Number.POSITIVE_INFINITY;
    const aimMs = bound * AIM;
    const step = MOST_STEP * Math.max(-1, (aimMs - delayMs) / aimMs);
    this.#budget = Math.min(most, Math.max(least, this.#budget * (1 + step)));
  }

  /**
   * Not at the first idle moment: where the load is just above what fits there is one now and then, and to wait for a standing queue each
   * time anew would let it grow each time. What fits meanwhile is not refused, as it does not use the budget up.
   */
  #judgeEnd(nowMs: number, bound: number): void {
    if (this.#refused > 0) this.#lastRefusalMs = nowMs;
    if (bound === 0 || nowMs - this.#lastRefusalMs >= QUIET_MS) {
      this.#isOverloaded = false;
      this.#isTrial = false;
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
    if (isTooLong) {
      this.#isTrial = false;
      this.#left = 0;
    }
    return isTooLong;
  }
}
