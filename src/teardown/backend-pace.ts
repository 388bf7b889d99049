// How fast one backend's jobs may run: a few at a time, and none but a probe while it is broken. What may not run now is put back to
// a time of its own, spread by what the backend has shown to take, so that ten thousand jobs of one slow backend do not come back
// all together every few milliseconds.
import type { Clock } from '../lifecycle/clock.js';

const MAX_RUNNING = 4;
/** So many failures in a row, and the backend is taken for broken. */
const BROKEN_AFTER = 3;
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 60_000;
const MIN_WAIT_MS = 20;
const MAX_WAIT_MS = 60_000;
/** Weight of the latest duration in the average. */
const LATEST = 0.2;

export class BackendPace {
  readonly #clock: Clock;
  readonly #firstPauseMs: number;
  #running = 0;
  #failures = 0;
  #pausedUntilMs = 0;
  #averageMs = 50;
  #nextPlaceMs = 0;

  /** @param firstPauseMs of a backend that broke; doubles with each failed probe, to a minute */
  constructor(clock: Clock, firstPauseMs = FIRST_PAUSE_MS) {
    this.#clock = clock;
    this.#firstPauseMs = firstPauseMs;
  }

  /** @returns 0: the job has begun, `end` must follow; else how long it should wait, ms */
  begin(): number {
    const nowMs = this.#clock.monotonicMs();
    const isBroken = this.#failures >= BROKEN_AFTER;
    if (nowMs < this.#pausedUntilMs) return this.#place(this.#pausedUntilMs, nowMs);
    // After the pause one job probes; if it fails, only that one has spent an attempt.
    if (this.#running >= (isBroken ? 1 : MAX_RUNNING)) return this.#place(nowMs, nowMs);
    this.#running++;
    return 0;
  }

  /** @param answered false: unreachable, timed out, or in trouble of its own (5xx, 429) */
  end(startedMs: number, answered: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    this.#running--;
    this.#averageMs += LATEST * (nowMs - startedMs - this.#averageMs);
    if (answered) {
      this.#failures = 0;
      this.#pausedUntilMs = 0;
      return;
    }
    this.#failures++;
    if (this.#failures < BROKEN_AFTER) return;
    const doublings = Math.min(this.#failures - BROKEN_AFTER, 16);
    this.#pausedUntilMs = nowMs + Math.min(this.#firstPauseMs * 2 ** doublings, MAX_PAUSE_MS);
    this.#nextPlaceMs = this.#pausedUntilMs;
  }

  /** The next free place in line, at the earliest `fromMs`. */
  #place(fromMs: number, nowMs: number): number {
    this.#nextPlaceMs = Math.max(this.#nextPlaceMs, fromMs) + this.#averageMs / MAX_RUNNING;
    return Math.min(Math.max(this.#nextPlaceMs - nowMs, MIN_WAIT_MS), MAX_WAIT_MS);
  }
}
