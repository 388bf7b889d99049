// One request waits until what it was held for may have changed: for its part of `limits.hold`, never beyond its deadline.
import { GatewayError } from '../errors/gateway-error.js';
import type { Clock } from '../lifecycle/clock.js';
import { bodyBytesOf, type Exchange } from '../streams/exchange.js';
import { type HoldRoom, MAX_TICK_MS } from './hold-room.js';
import type { HoldCause } from './probe.js';
import type { Progress } from './progress.js';

export interface WaitParts {
  readonly clock: Clock;
  readonly hold: HoldRoom;
  /** `limits.hold`, ms. */
  readonly holdMs: number;
  readonly metrics: { held(outcome: 'full'): void };
}

/**
 * Holds the request until its cause has news, its caller leaves, or an owner that it was sent to counts as silent.
 * @param key requests of one key read the same things
 * @throws GatewayError HELD_TOO_LONG after `limits.hold` or at the deadline; HOLD_FULL
 */
export async function waitForNews(
  { clock, hold, holdMs, metrics }: WaitParts,
  exchange: Exchange,
  progress: Progress,
  cause: HoldCause,
  key: unknown,
): Promise<void> {
  const now = clock.monotonicMs();
  progress.heldSinceMs ??= now;
  const endMs = Math.min(progress.heldSinceMs + holdMs, exchange.deadlineMs);
  if (now >= endMs) throw new GatewayError('HELD_TOO_LONG');
  let leave: () => void;
  try {
    leave = hold.enter(bodyBytesOf(exchange));
  } catch (error) {
    metrics.held('full');
    throw error;
  }
  // Who has left gives up its place at once.
  if (!progress.wasHeld) exchange.onAbort(() => progress.wakeUp?.());
  progress.wasHeld = true;
  const { silentFromMs = endMs } = progress;
  const untilMs = silentFromMs > now ? Math.min(endMs, silentFromMs) : endMs;
  const waiting = hold.wait(cause, { key, untilMs, hasGone: progress.wentFor === cause });
  progress.wakeUp = waiting.leave;
  // The last look comes when the time is up, not a tick later. Few have a timer of their own: only those that are about to leave.
  const timer = untilMs - now < MAX_TICK_MS ? clock.after(untilMs - now, waiting.leave) : undefined;
  const how = await waiting.woken;
  timer?.cancel();
  progress.wakeUp = undefined;
  if (how === 'go') progress.wentFor = cause;
  leave();
}
