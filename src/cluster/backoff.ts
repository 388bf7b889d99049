// How long to wait before something that died is started again: 100 ms, doubling to 10 s; a life of 30 s proves it sound again.
import type { Clock } from '../lifecycle/clock.js';

const FIRST_MS = 100;
const LONGEST_MS = 10_000;
const SOUND_MS = 30_000;

export class Backoff {
  readonly #clock: Clock;
  #delayMs = FIRST_MS;
  #beganMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A life begins. */
  began(): void {
    this.#beganMs = this.#clock.monotonicMs();
  }

  /** A life has ended, or could not begin: milliseconds to wait before the next. */
  nextMs(): number {
    if (this.#beganMs !== undefined && this.#clock.monotonicMs() - this.#beganMs >= SOUND_MS) this.#delayMs = FIRST_MS;
    this.#beganMs = undefined;
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(delayMs * 2, LONGEST_MS);
    return delayMs;
  }
}
