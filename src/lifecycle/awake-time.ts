// Time in which this process ran, for whoever looks at others regularly: while it was stopped (SIGSTOP, a suspended machine) nobody else
// could do anything with it, and nobody is to be blamed for that afterwards.
import type { Clock } from './clock.js';

export class AwakeTime {
  readonly #clock: Clock;
  readonly #mostMs: number;
  #lookedMs: number;
  /** Milliseconds up to the last look. */
  ms = 0;

  /** @param periodMs between two looks; a longer gap counts as twice that */
  constructor(clock: Clock, periodMs: number) {
    this.#clock = clock;
    this.#mostMs = 2 * periodMs;
    this.#lookedMs = clock.monotonicMs();
  }

  /** @returns `ms`, brought up to now */
  look(): number {
    const nowMs = this.#clock.monotonicMs();
    this.ms += Math.min(nowMs - this.#lookedMs, this.#mostMs);
    this.#lookedMs = nowMs;
    return this.ms;
  }
}
