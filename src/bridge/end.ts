// The end of the bridge: what runs gets its answer or an error, the gateway a DELETE. Bounded, whatever the gateway does.
import type { Clock } from '../lifecycle/clock.js';
import { outcomeUnknown, unreachable } from './failures.js';
import type { GatewayHttp } from './http.js';
import type { Listener } from './listener.js';
import type { Output } from './output.js';
import { wait } from './patience.js';
import type { Relay } from './relay.js';
import type { BridgeSession } from './session.js';
import type { Traffic } from './traffic.js';

export interface EndParts {
  readonly http: GatewayHttp;
  readonly relay: Relay;
  readonly session: BridgeSession;
  readonly listener: Listener;
  readonly output: Output;
  readonly clock: Clock;
  readonly traffic: Traffic;
}

const DELETE_MS = 2000;
const DELETE_AGAIN_MS = 200;
const FLUSH_MS = 1000;
const LOOK_MS = 20;
/** The answer to initialize is waited for even without grace: only it tells which session to end. */
const OPENING_MS = 1000;

/** @param graceMs for answers under way. Never rejects */
export async function endBridge(parts: EndParts, graceMs: number): Promise<void> {
  const { http, relay, session, listener, output, clock, traffic } = parts;
  await until(clock, graceMs, () => traffic.isQuiet);
  await until(clock, OPENING_MS, () => !relay.pending().some((call) => call.facts.opensSession && call.sent));
  listener.stop();
  const state = session.end();
  for (const call of relay.pending()) {
    const reason = 'the bridge ends';
    if (!call.isCancelled) void relay.fail(call, call.sent && !call.facts.isSafe ? outcomeUnknown(reason) : unreachable(reason));
    call.abort();
  }
  if (state.hasId) await endSession(http, state.headers, clock);
  const flushed = new AbortController();
  await wait(clock, FLUSH_MS, flushed.signal, output.flush());
  await http.close().catch(() => undefined);
}

/** DELETE, for at most 2 s; a gateway that just restarts gets a second chance. Never rejects. */
export async function endSession(http: GatewayHttp, headers: Readonly<Record<string, string>>, clock: Clock): Promise<void> {
  const limit = new AbortController();
  const timer = clock.after(DELETE_MS, () => limit.abort(new Error('no time left')));
  while (!limit.signal.aborted) {
    try {
      const answer = await http.send({ method: 'DELETE', headers, signal: limit.signal });
      answer.discard();
      // 404 and 405: nothing there to end.
      if (answer.status < 500 && answer.status !== 429) break;
    } catch {
      // Not reached, or the answer is lost: to end it twice does no harm.
    }
    await wait(clock, DELETE_AGAIN_MS, limit.signal);
  }
  timer.cancel();
}

async function until(clock: Clock, timeMs: number, isSo: () => boolean): Promise<void> {
  const never = new AbortController();
  for (let leftMs = timeMs; leftMs > 0 && !isSo(); leftMs -= LOOK_MS) await wait(clock, LOOK_MS, never.signal);
}
