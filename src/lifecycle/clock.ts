// The injected clock: anything with a lease tells time through it, so that tests can step it.

/** Node runs a timer at once that is longer. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds that never go back; unaffected by clock steps. */
  monotonicMs(): number;
  /** Milliseconds since the epoch; may step. */
  wallMs(): number;
  /** Runs once after `delayMs`; does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
  /** Runs every `periodMs`; does not keep the process alive. */
  every(periodMs: number, run: () => void): Timer;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  every(periodMs, run) {
    const timer = setInterval(run, periodMs);
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },
};

/** Waits `delayMs` on the given clock. */
export function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
