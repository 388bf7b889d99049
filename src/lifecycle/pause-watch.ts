// Tells whether this process itself stood still: stopped (SIGSTOP), suspended with its machine, or its event loop blocked. What ran
// out of time meanwhile ran out because of us, and says nothing about whoever was waited for.
import type { Clock, Timer } from './clock.js';

export class PauseWatch {
  readonly #clock: Clock;
  readonly #longMs: number;
  readonly #timer: Timer;
  #lastMonotonicMs: number;
  #lastWallMs: number;
  #endedMs = Number.NEGATIVE_INFINITY;

  /** @param longMs standing still for less than about this counts as running; looked at four times as often */
  constructor(clock: Clock, longMs: number) {
    this.#clock = clock;
    this.#longMs = longMs;
    this.#lastMonotonicMs = clock.monotonicMs();
    this.#lastWallMs = clock.wallMs();
    this.#timer = clock.every(longMs / 4, () => this.#look());
  }

  /** Whether a pause ended at or after this monotonic time. */
  pausedSince(sinceMs: number): boolean {
    // Race: after a pause timers run in the order in which they were due; whoever asks may be before our own.
    this.#look();
    return this.#endedMs >= sinceMs;
  }

  stop(): void {
    this.#timer.cancel();
  }

  /** Either clock: a suspended machine may stop the monotonic one. A step of the wall clock passes for a pause, which harms nobody. */
  #look(): void {
    const monotonicMs = this.#clock.monotonicMs();
    const wallMs = this.#clock.wallMs();
    const gapMs = Math.max(monotonicMs - this.#lastMonotonicMs, wallMs - this.#lastWallMs);
    if (gapMs >= this.#longMs) this.#endedMs = monotonicMs;
    this.#lastMonotonicMs = monotonicMs;
    this.#lastWallMs = wallMs;
  }
}
