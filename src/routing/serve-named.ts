// The owner's side of a hop that names its owner: exactly that token, or 421 with what we are.
import type { SessionRecord } from '../directory/directory.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import type { OwnerToken, SessionId } from '../protocol/ids.js';
import type { ServeOutcome } from '../sessions/serve-session.js';
import type { Session } from '../sessions/session.js';
import { bodyBytesOf, type Exchange } from '../streams/exchange.js';
import type { HoldRoom } from './hold-room.js';
import { refuseHop } from './refuse-hop.js';
import { type RoutingView, routeFromDirectory } from './route-session.js';

export interface NamedParts extends RoutingView {
  readonly clock: Clock;
  readonly hold: HoldRoom;
  /** `limits.hold`, ms. */
  readonly holdMs: number;
  /** Serves a request of a session that this worker owns. */
  serve(session: Session, exchange: Exchange): ServeOutcome | Promise<ServeOutcome>;
  /** Claims; single-flight. Undefined: the world has changed, decide again. */
  takeOver(id: SessionId, from: OwnerToken, record: SessionRecord): Promise<Session | undefined>;
}

/**
 * Serves the request if this worker is what the hop names, or may be again within `limits.hold`; else refuses it.
 * @throws GatewayError HOLD_FULL if too many wait for a lease already; whatever serving throws
 */
export async function serveNamed(parts: NamedParts, exchange: Exchange, id: SessionId, named: OwnerToken): Promise<void> {
  const session = parts.table.get(id) ?? (await claimOwn(parts, exchange, id));
  if (!session) return void refuseHop(exchange, undefined);
  if (session.state === 'reclaiming') {
    // Cut off from Redis: who forwarded may reach it, and take over once our lease is gone.
    if (!parts.keeper.isValid()) return void refuseHop(exchange, 'later');
    await waitUntilSettled(parts, exchange, session);
  }
  const { token } = session;
  if (token.owner !== named.owner || token.epoch !== named.epoch) return void refuseHop(exchange, token);
  exchange.note.route = 'local';
  if ((await parts.serve(session, exchange)) === 'done') return;
  // Race: the guard has ended, the lease perhaps not: renewed in time, the same pair is in force again, and no newer one ever comes.
  const mayReturn = (session.state === 'active' || session.state === 'reclaiming') && !session.mayAct();
  refuseHop(exchange, mayReturn && session.token.epoch === named.epoch ? 'later' : undefined);
}

/**
 * The record says that it is ours, but we do not know it: a claim whose answer was lost, a release that failed. Nobody else may
 * claim it while we live, so we do; who forwarded finds the newer epoch in the record.
 */
async function claimOwn(parts: NamedParts, exchange: Exchange, id: SessionId): Promise<Session | undefined> {
  const { serverId, principal } = exchange;
  const decision = await routeFromDirectory(parts, { id, serverId, principal: principal.digest, refused: undefined });
  if (decision.kind === 'local') return decision.session;
  if (decision.kind !== 'takeOver' || !parts.keeper.isOwn(decision.from.owner)) return undefined;
  return parts.takeOver(id, decision.from, decision.record);
}

/** Bounded in number and time: who forwarded counts the hold from its own side, and a lapsed lease may stay away for long. */
async function waitUntilSettled({ clock, hold, holdMs }: NamedParts, exchange: Exchange, session: Session): Promise<void> {
  const leave = hold.enter(bodyBytesOf(exchange));
  let timer: Timer | undefined;
  const over = new Promise<void>((resolve) => {
    timer = clock.after(Math.min(holdMs, Math.max(0, exchange.deadlineMs - clock.monotonicMs())), resolve);
    exchange.onAbort(resolve);
  });
  await session.settled(over);
  timer?.cancel();
  leave();
}
