// How long a caller waits for what has not begun, and how attempts are spread over that time.
import type { Clock } from '../lifecycle/clock.js';

const FIRST_MS = 100;
const LONGEST_MS = 2000;

export class Patience {
  readonly #clock: Clock;
  readonly #endMs: number;
  #delayMs = FIRST_MS;

  /** @param totalMs from now on; 0: nothing is tried twice */
  constructor(clock: Clock, totalMs: number) {
    this.#clock = clock;
    this.#endMs = clock.monotonicMs() + totalMs;
  }

  get leftMs(): number {
    return Math.max(0, this.#endMs - this.#clock.monotonicMs());
  }

  /**
   * How long to wait before the next attempt; undefined if that would be too late.
   * @param askedMs what the gateway asked for
   */
  nextDelay(askedMs: number | undefined): number | undefined {
    const growing = this.#delayMs * (0.75 + Math.random() / 2);
    this.#delayMs = Math.min(this.#delayMs * 2, LONGEST_MS);
    const delayMs = Math.max(askedMs ?? 0, growing);
    return delayMs < this.leftMs ? delayMs : undefined;
  }
}

/** What `wait` ends with. */
export type Waited = 'done' | 'late' | 'aborted';

/** Waits for `event` (default: nothing, so that time alone ends it), for at most `timeMs`, or until the signal. Never rejects. */
export function wait(clock: Clock, timeMs: number, signal: AbortSignal, event?: Promise<unknown>): Promise<Waited> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve('aborted');
    const end = (how: Waited) => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      resolve(how);
    };
    const onAbort = () => end('aborted');
    const timer = clock.after(timeMs, () => end('late'));
    signal.addEventListener('abort', onAbort);
    event?.then(
      () => end('done'),
      () => end('done'),
    );
  });
}
