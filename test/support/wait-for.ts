// Waits for a condition instead of sleeping; the message must name what was awaited (session, owner, epoch, phase).

const POLL_MS = 10;
const SLOWEST_POLL_MS = 100;
/** Looks at the full rate for so long: probes of the model tests also move a clock, a step for each look. */
const FULL_RATE_MS = 5000;
/** Of the time waited beyond that: a wait ends that much late at most, and looks on while processes start take little from them. */
const POLL_SHARE = 0.05;

/**
 * Polls `probe` until it returns something other than undefined/false, and returns that. After five seconds it looks ever more rarely.
 * @throws Error with `what()` (evaluated at the deadline) and the last error of the probe
 */
export async function waitFor<T>(
  what: string | (() => string),
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs = 5000,
): Promise<T> {
  const begun = performance.now();
  const deadline = begun + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const text = typeof what === 'function' ? what() : what;
      throw new Error(`waited ${withinMs} ms for: ${text}${last ? `; last error: ${String(last)}` : ''}`);
    }
    const longMs = performance.now() - begun - FULL_RATE_MS;
    const pauseMs = longMs < 0 ? POLL_MS : Math.min(SLOWEST_POLL_MS, POLL_MS + longMs * POLL_SHARE);
    await new Promise<void>((wake) => setTimeout(wake, pauseMs));
  }
}

/**
 * A pause that is the fault itself: how long something was stopped, silent or cut off. Nothing but time fulfils it, so it is never how a
 * test waits for something to happen.
 */
export function lasted(ms: number): Promise<unknown> {
  const fromMs = performance.now();
  return waitFor(`${ms} ms of a pause`, () => performance.now() - fromMs >= ms, Number.POSITIVE_INFINITY);
}
