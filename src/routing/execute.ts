// The one execution path: what the public edge and the internal listener hand over passes here, and nothing else serves a request.
// It asks THE decision, carries it out, and asks again as long as nothing has begun and the caller's time lasts.
import { GatewayError, toGatewayError } from '../errors/gateway-error.js';
import type { ForwardOutcome, Forwarder } from '../forward/forward.js';
import { callWorker } from '../forward/own-call.js';
import { type Clock, pause } from '../lifecycle/clock.js';
import { isSessionId, type OwnerToken, type SessionId, type SessionRef } from '../protocol/ids.js';
import { REFUSED_HEADER, SESSION_HEADER } from '../protocol/mcp.js';
import type { Session } from '../sessions/session.js';
import type { ServeOutcome } from '../sessions/serve-session.js';
import { ANSWER_MS, type OwnerTeller } from '../sessions/tell-owner.js';
import type { EndCause, Exchange, Hop } from '../streams/exchange.js';
import { writeError } from './write-error.js';
import { type HoldRoom, MAX_TICK_MS } from './hold-room.js';
import type { KnownOwner } from './owner-cache.js';
import { type Decision, findStayingWorker, type RoutingView, routeFromDirectory, routeFromMemory } from './route-session.js';
import { DirectoryUnavailable, type SessionRecord } from '../directory/directory.js';

export interface ExecutionParts extends RoutingView {
  readonly clock: Clock;
  readonly hold: HoldRoom;
  readonly forwarder: Forwarder;
  /** `limits.hold`, ms. */
  readonly holdMs: number;
  /** Serves a request of a session that this worker owns. */
  serve(session: Session, exchange: Exchange): Promise<ServeOutcome>;
  /** Opens a session for `initialize`; `unavailable`: Redis or the lease is away, nothing was done. */
  open(exchange: Exchange): Promise<'done' | 'unavailable'>;
  /** Claims; single-flight. Undefined: the world has changed, decide again. */
  takeOver(id: SessionId, from: OwnerToken, record: SessionRecord): Promise<Session | undefined>;
  /** Another worker tells us to end a session of ours. */
  end(exchange: Exchange, ref: SessionRef, cause: EndCause): Promise<void>;
  /** For a DELETE whose owner is silent. */
  readonly teller: Pick<OwnerTeller, 'closeInPlaceOf'>;
  readonly metrics: {
    held(outcome: 'served' | 'timeout' | 'full' | 'aborted'): void;
    forwarded(durationMs: number, outcome: ForwardOutcome['kind']): void;
  };
  log(exchange: Exchange): void;
  warn(message: string, details: Record<string, unknown>): void;
}

/** Where one request stands while it is decided about. */
interface Progress {
  refused: OwnerToken | undefined;
  /** Monotonic; undefined: not held (yet, or since it last got somewhere). */
  heldSinceMs: number | undefined;
  wasHeld: boolean;
  /** Monotonic, of a DELETE: when its owner counts as silent. */
  silentFromMs: number | undefined;
}

export class Execution {
  readonly #parts: ExecutionParts;

  constructor(parts: ExecutionParts) {
    this.#parts = parts;
  }

  /** Answers the exchange, exactly once, whatever happens. Never rejects. */
  async execute(exchange: Exchange): Promise<void> {
    const progress: Progress = { refused: undefined, heldSinceMs: undefined, wasHeld: false, silentFromMs: undefined };
    try {
      await this.#run(exchange, progress);
    } catch (error) {
      const known = toGatewayError(error);
      if (known.code === 'INTERNAL') {
        this.#parts.warn('request failed', {
          ...known.details,
          error: String((known.cause as Error | undefined)?.stack ?? known.cause),
        });
      }
      writeError(exchange, known);
    } finally {
      if (progress.wasHeld) {
        const { outcome } = exchange.note;
        this.#parts.metrics.held(outcome === 'HELD_TOO_LONG' ? 'timeout' : exchange.aborted ? 'aborted' : 'served');
      }
      this.#parts.log(exchange);
    }
  }

  async #run(exchange: Exchange, progress: Progress): Promise<void> {
    if (exchange.hop?.kind === 'end') return this.#parts.end(exchange, exchange.hop.ref, exchange.hop.cause);
    if (exchange.body?.kind === 'request' && exchange.body.message.method === 'initialize')
      return this.#initialize(exchange, progress);
    const id = exchange.headers[SESSION_HEADER];
    if (id === undefined) throw new GatewayError('SESSION_HEADER_MISSING');
    if (!isSessionId(id)) throw new GatewayError('SESSION_NOT_FOUND');
    const request = { id, serverId: exchange.serverId, principal: exchange.principal.digest };
    if (exchange.hop?.kind === 'named') return this.#serveNamed(exchange, id, exchange.hop.token);
    for (;;) {
      const view = { ...request, refused: progress.refused };
      const decision = routeFromMemory(this.#parts, view) ?? (await routeFromDirectory(this.#parts, view));
      if (
        exchange.aborted &&
        exchange.body?.kind !== 'notification' &&
        exchange.body?.kind !== 'response' &&
        exchange.method !== 'DELETE'
      ) {
        exchange.note.outcome = 'ABORTED';
        return;
      }
      const cause = await this.#carryOut(exchange, id, decision, progress);
      if (cause === undefined) return;
      await this.#wait(exchange, progress, cause);
    }
  }

  /** @returns undefined when the exchange is answered, else what has to change before it is decided again */
  async #carryOut(exchange: Exchange, id: SessionId, decision: Decision, progress: Progress): Promise<string | undefined> {
    const { takeOver, serve } = this.#parts;
    switch (decision.kind) {
      case 'gone':
        throw new GatewayError('SESSION_NOT_FOUND');
      case 'hold':
        return decision.cause;
      case 'local':
        exchange.note.route = exchange.note.route === 'takeover' ? 'takeover' : 'local';
        return this.#afterServing(await serve(decision.session, exchange), progress);
      case 'takeOver': {
        const session = await takeOver(id, decision.from, decision.record);
        if (!session) return 'claim';
        exchange.note.route = 'takeover';
        return this.#afterServing(await serve(session, exchange), progress);
      }
      case 'forward':
        return this.#forward(exchange, id, decision.owner, progress);
      case 'delegate':
        if (exchange.hop) return this.#refuse(exchange, undefined);
        return this.#delegate(exchange, id, decision.to.id, await this.#hop(exchange, decision, { kind: 'take' }));
    }
  }

  #afterServing(outcome: ServeOutcome, progress: Progress): string | undefined {
    if (outcome === 'done') return undefined;
    // As after a broken hop: a stream may have lasted for hours.
    if (outcome === 'moved') progress.heldSinceMs = undefined;
    return 'lease';
  }

  /** The owner's side of a hop that names its owner: exactly that token, or 421 with what we are. */
  async #serveNamed(exchange: Exchange, id: SessionId, named: OwnerToken): Promise<void> {
    const session = this.#parts.table.get(id) ?? (await this.#claimOwn(exchange, id));
    if (!session) return void this.#refuse(exchange, undefined);
    if (session.state === 'reclaiming') await this.#waitUntilSettled(exchange, session);
    const { token } = session;
    if (token.owner !== named.owner || token.epoch !== named.epoch) return void this.#refuse(exchange, token);
    exchange.note.route = 'local';
    if ((await this.#parts.serve(session, exchange)) !== 'done') this.#refuse(exchange, undefined);
  }

  /**
   * The record says that it is ours, but we do not know it: a claim whose answer was lost, a release that failed. Nobody else may
   * claim it while we live, so we do; who forwarded finds the newer epoch in the record.
   */
  async #claimOwn(exchange: Exchange, id: SessionId): Promise<Session | undefined> {
    const { serverId, principal } = exchange;
    const decision = await routeFromDirectory(this.#parts, { id, serverId, principal: principal.digest, refused: undefined });
    if (decision.kind === 'local') return decision.session;
    if (decision.kind !== 'takeOver' || !this.#parts.keeper.isOwn(decision.from.owner)) return undefined;
    return this.#parts.takeOver(id, decision.from, decision.record);
  }

  /** Bounded in number and time: who forwarded counts the hold from its own side, and a lapsed lease may stay away for long. */
  async #waitUntilSettled(exchange: Exchange, session: Session): Promise<void> {
    const { clock, hold, holdMs } = this.#parts;
    const leave = hold.enter(bodyBytesOf(exchange));
    try {
      const leftMs = Math.max(0, exchange.deadlineMs - clock.monotonicMs());
      await session.settled(pause(clock, Math.min(holdMs, leftMs)));
    } finally {
      leave();
    }
  }

  async #forward(exchange: Exchange, id: SessionId, owner: KnownOwner, progress: Progress): Promise<string | undefined> {
    // Told to take it, but somebody else owns it by now: the one who told us reads the record again.
    if (exchange.hop) return this.#refuse(exchange, owner.token);
    if (exchange.method === 'DELETE') return this.#forwardDeletion(exchange, id, owner, progress);
    return this.#concludeHop(
      exchange,
      id,
      owner,
      progress,
      await this.#hop(exchange, { to: owner.lease }, { kind: 'named', token: owner.token }),
    );
  }

  #concludeHop(
    exchange: Exchange,
    id: SessionId,
    owner: KnownOwner,
    progress: Progress,
    outcome: ForwardOutcome,
  ): string | undefined {
    exchange.note.session = owner.ref;
    exchange.note.owner = owner.token.owner;
    exchange.note.epoch = owner.token.epoch;
    switch (outcome.kind) {
      case 'answered':
        return undefined;
      case 'notOwner':
        this.#parts.owners.forget(id);
        progress.refused = owner.token;
        return owner.token.owner;
      case 'notBegun':
        this.#parts.owners.forget(id);
        return owner.token.owner;
      case 'broken':
        this.#parts.owners.forget(id);
        // A stream may have lasted for hours: its next hold counts from now.
        progress.heldSinceMs = undefined;
        return this.#afterBroken(exchange, owner.token.owner, outcome.reason);
    }
  }

  /**
   * Its owner has a second, over all attempts: then the id is dead all the same, and the owner is told in the background. A hop that
   * is given up here may still end the session there; that is what was asked for.
   */
  async #forwardDeletion(exchange: Exchange, id: SessionId, owner: KnownOwner, progress: Progress): Promise<string | undefined> {
    const { clock, forwarder, metrics } = this.#parts;
    const startedMs = clock.monotonicMs();
    progress.silentFromMs ??= startedMs + ANSWER_MS;
    const leftMs = progress.silentFromMs - startedMs;
    if (leftMs <= 0) return this.#closeInPlaceOf(exchange, id, owner);
    exchange.note.route = 'forward';
    const outcome = await callWorker({ forwarder, clock }, exchange, owner.lease, { kind: 'named', token: owner.token }, leftMs);
    metrics.forwarded(clock.monotonicMs() - startedMs, outcome.kind === 'silent' ? 'broken' : outcome.kind);
    if (outcome.kind === 'silent') return this.#closeInPlaceOf(exchange, id, owner);
    if (outcome.kind !== 'answered') return this.#concludeHop(exchange, id, owner, progress, outcome);
    const { status, headers, body } = outcome;
    exchange.note.outcome = status >= 400 ? `HTTP_${status}` : 'ok';
    exchange.answer.send(status, headers, body);
    return this.#concludeHop(exchange, id, owner, progress, outcome);
  }

  async #closeInPlaceOf(exchange: Exchange, id: SessionId, owner: KnownOwner): Promise<string | undefined> {
    const { owners, teller, warn } = this.#parts;
    owners.forget(id);
    exchange.note.session = owner.ref;
    const of = { serverId: exchange.serverId, principal: exchange.principal.digest };
    try {
      const outcome = await teller.closeInPlaceOf(owner.token, owner.ref, of);
      if (outcome === 'moved') return owner.token.owner;
      if (outcome === 'gone') throw new GatewayError('SESSION_NOT_FOUND');
    } catch (error) {
      if (error instanceof DirectoryUnavailable) return 'redis';
      throw error;
    }
    warn('an owner does not answer: its session was ended for it', { session: owner.ref, owner: owner.token.owner });
    exchange.answer.send(202, {});
    return undefined;
  }

  /** A hop that broke may have run. Requests are not repeated; what has no answer to lose, or is idempotent, goes to whoever owns now. */
  #afterBroken(exchange: Exchange, cause: string, reason: string): string | undefined {
    if (exchange.body?.kind !== 'request') return cause;
    // It may have broken in the middle of an event, which would swallow the one that follows.
    if (exchange.answer.startedAsEvents) exchange.answer.write('\n\n');
    const error = new GatewayError('OUTCOME_UNKNOWN', {
      message: 'the worker that ran it was lost',
      details: { reason: 'owner_lost' },
    });
    this.#parts.warn('a hop broke after its request had left', { reason, session: exchange.note.session });
    writeError(exchange, error);
    return undefined;
  }

  #delegate(exchange: Exchange, id: SessionId, cause: string, outcome: ForwardOutcome): string | undefined {
    this.#parts.owners.forget(id);
    if (outcome.kind === 'answered') return undefined;
    return outcome.kind === 'broken' ? this.#afterBroken(exchange, cause, outcome.reason) : cause;
  }

  async #initialize(exchange: Exchange, progress: Progress): Promise<void> {
    for (;;) {
      // A session for a caller that has left would count against the caps until it idles out.
      if (exchange.aborted) {
        exchange.note.outcome = 'ABORTED';
        return;
      }
      const cause = await this.#openOrDelegate(exchange);
      if (cause === undefined) return;
      await this.#wait(exchange, progress, cause);
    }
  }

  async #openOrDelegate(exchange: Exchange): Promise<string | undefined> {
    if (this.#parts.keeper.isDraining) {
      if (exchange.hop) return this.#refuse(exchange, undefined);
      const to = await findStayingWorker(this.#parts).catch(() => undefined);
      if (to) {
        const outcome = await this.#hop(exchange, { to }, { kind: 'take' });
        if (outcome.kind === 'answered') return undefined;
        if (outcome.kind === 'broken') return this.#afterBroken(exchange, to.id, outcome.reason);
        return to.id;
      }
    }
    exchange.note.route = 'local';
    return (await this.#parts.open(exchange)) === 'done' ? undefined : 'redis';
  }

  async #hop(exchange: Exchange, { to }: { to: KnownOwner['lease'] }, hop: Hop): Promise<ForwardOutcome> {
    const startedMs = this.#parts.clock.monotonicMs();
    exchange.note.route = 'forward';
    const outcome = await this.#parts.forwarder.forward(exchange, to, hop);
    this.#parts.metrics.forwarded(this.#parts.clock.monotonicMs() - startedMs, outcome.kind);
    if (outcome.kind === 'answered') exchange.note.outcome = outcome.status >= 400 ? `HTTP_${outcome.status}` : 'ok';
    return outcome;
  }

  #refuse(exchange: Exchange, token: OwnerToken | undefined): undefined {
    exchange.note.outcome = 'NOT_OWNER';
    if (exchange.answer.started) {
      exchange.answer.moved?.();
      return undefined;
    }
    exchange.answer.send(421, { [REFUSED_HEADER]: token ? `${token.owner} ${token.epoch}` : '-' });
    return undefined;
  }

  /**
   * Holds the request until the next tick of its cause.
   * @throws GatewayError HELD_TOO_LONG after `limits.hold` or at the deadline; HOLD_FULL
   */
  async #wait(exchange: Exchange, progress: Progress, cause: string): Promise<void> {
    const { clock, hold, holdMs, metrics } = this.#parts;
    const now = clock.monotonicMs();
    progress.heldSinceMs ??= now;
    if (now > progress.heldSinceMs + holdMs || now > exchange.deadlineMs) throw new GatewayError('HELD_TOO_LONG');
    let leave: () => void;
    try {
      leave = hold.enter(bodyBytesOf(exchange));
    } catch (error) {
      metrics.held('full');
      throw error;
    }
    progress.wasHeld = true;
    const leftMs = Math.min(progress.heldSinceMs + holdMs, exchange.deadlineMs) - now;
    // The last look comes when the time is up, not a tick later. Few have a timer of their own: only those that are about to leave.
    await (leftMs < MAX_TICK_MS ? Promise.race([hold.tick(cause), pause(clock, leftMs + 1)]) : hold.tick(cause));
    leave();
  }
}

function bodyBytesOf(exchange: Exchange): number {
  return exchange.body?.bytes.length ?? 0;
}
