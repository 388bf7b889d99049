// Whether requests wait longer for this worker than it is worth. They wait at two places: before the event loop, where what comes while it
// has a turn waits in the kernel until the next one, so that the length of a turn is the time that requests wait; and behind it, for one of
// the connections to a backend, which a full loop frees too late. A burst makes either queue long for a while, and is absorbed; a queue
// that stands is long for as long as one looks (the principle of CoDel). Only then is anything refused.
import type { Clock, Timer } from '../lifecycle/clock.js';

/** A queue behind the event loop: see CallQueue. */
export interface QueueBehind {
  readonly isTooLong: boolean;
  readonly hasBacklog: boolean;
  look(turns: number, boundMs: number, elapsedMs: number): boolean;
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

const LOOK_MS = 100;
/** So long must a queue stand: clients that all come again after a deploy are served late rather than not at all. */
export const PATIENCE_MS = 1000;
/** Of a loop that sleeps now and then nobody waits for long: turns are not timed. */
const WATCHED_SHARE = 0.5;
/** A loop that had time to spare had emptied its queue. */
const FULL_SHARE = 0.98;
/**
 * Of the bound: how old a turn of an overloaded worker may get before the rest of it is refused. What is accepted waits for two or three
 * such turns, and for what is refused in them, which takes longer.
 */
const WINDOW = 1 / 32;
/** Of the turn before: to refuse costs a good part of serving. Without this a flood would leave time for little else. */
const LEAST_SHARE = 1 / 8;
/** Of the window: what opens a session makes more load, and is refused first. */
const OPENING = 1 / 2;
/**
 * Clients that wait for each answer before they ask again never leave an idle moment, although all of them together fit below the bound.
 * Whether that is so shows only when nothing is refused up to the bound, for so long that a queue of 5 % too much would have reached it.
 */
const TRIAL_EVERY_MS = 30_000;
const TRIAL_MS = 500;

export class QueueWatch {
  readonly #options: QueueWatchOptions;
  readonly #timer: Timer;
  readonly #endTurn = () => this.#onTurnEnd();
  #isTimed = false;
  #isOverloaded = false;
  /** When the turn under way saw its first request; undefined: it has not seen one, or turns are not timed. */
  #turnSinceMs: number | undefined;
  #turns = 0;
  #shortestMs = Number.POSITIVE_INFINITY;
  /** Since when every turn, or a queue of calls, was too long. */
  #standingSinceMs: number | undefined;
  #windowMs = 0;
  /** Of the turn under way: how old it may get. */
  #acceptMs = 0;
  #lastTurnMs = 0;
  #isTrial = false;
  #lastTrialMs = 0;
  #lastLookMs: number;

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
      this.#acceptMs = this.#isTrial ? this.#windowMs : Math.max(this.#windowMs, this.#lastTurnMs * LEAST_SHARE);
      this.#options.afterTurn(this.#endTurn);
      return false;
    }
    if (!this.#isOverloaded) return false;
    const ageMs = this.#options.clock.monotonicMs() - this.#turnSinceMs;
    // A turn that had begun before the trial has no say in it.
    const isTried = this.#isTrial && this.#acceptMs === this.#windowMs;
    // A trial asks whether all fit below the bound: what opens a session is not refused before that, or it would never pass.
    const isTooOld = ageMs > (opens && !isTried ? this.#acceptMs * OPENING : this.#acceptMs);
    if (!isTooOld && !this.#areCallsWaiting(isTried)) return false;
    if (isTried) this.#endTrial();
    return true;
  }

  stop(): void {
    this.#timer.cancel();
  }

  #onTurnEnd(): void {
    if (this.#turnSinceMs === undefined) return;
    this.#turns += 1;
    this.#lastTurnMs = this.#options.clock.monotonicMs() - this.#turnSinceMs;
    this.#shortestMs = Math.min(this.#shortestMs, this.#lastTurnMs);
    this.#turnSinceMs = undefined;
  }

  #look(): void {
    const { clock, boundMs, busyShare } = this.#options;
    const busy = busyShare();
    const bound = boundMs();
    const nowMs = clock.monotonicMs();
    const isFull = bound > 0 && busy >= FULL_SHARE && this.#turns > 0;
    this.#isTimed = bound > 0 && busy >= WATCHED_SHARE;
    const areCallsLate = this.#lookAtCalls(isFull, bound, nowMs - this.#lastLookMs);
    this.#lastLookMs = nowMs;
    if (!this.#isOverloaded) this.#judge(isFull && (this.#shortestMs > bound || areCallsLate), nowMs);
    else if (!isFull) this.#recover();
    else this.#judgeTrial(nowMs);
    this.#windowMs = this.#isTrial ? bound : bound * WINDOW;
    this.#turns = 0;
    this.#shortestMs = Number.POSITIVE_INFINITY;
  }

  /** A loop that is not full has calls waiting for a slow backend: no business of this one. */
  #lookAtCalls(isFull: boolean, bound: number, elapsedMs: number): boolean {
    let areLate = false;
    for (const queue of this.#options.callQueues) {
      if (!isFull) queue.forget();
      else if (queue.look(this.#turns, bound, elapsedMs)) areLate = true;
    }
    return areLate;
  }

  /** What has gathered before the worker was overloaded is worked off before more is accepted. */
  #areCallsWaiting(isTried: boolean): boolean {
    for (const queue of this.#options.callQueues) if (isTried ? queue.isTooLong : queue.hasBacklog) return true;
    return false;
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
    this.#lastTrialMs = nowMs;
  }

  #judgeTrial(nowMs: number): void {
    if (this.#isTrial) {
      if (nowMs - this.#lastTrialMs >= TRIAL_MS) this.#recover();
    } else if (nowMs - this.#lastTrialMs >= TRIAL_EVERY_MS) {
      this.#isTrial = true;
      this.#lastTrialMs = nowMs;
    }
  }

  #recover(): void {
    this.#isOverloaded = false;
    this.#isTrial = false;
    this.#standingSinceMs = undefined;
  }

  #endTrial(): void {
    this.#isTrial = false;
    this.#windowMs = this.#options.boundMs() * WINDOW;
  }
}
