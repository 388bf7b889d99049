// The one execution path: what the public edge and the internal listener hand over passes here, and nothing else serves a request.
// It asks THE decision, carries it out, and asks again as long as nothing has begun and the caller's time lasts.
import { forBegunCall, GatewayError, toGatewayError } from '../errors/gateway-error.js';
import { type ForwardOutcome, type Forwarder, SESSION_ENDED } from '../forward/forward.js';
import { isSessionId, referenceOf, type OwnerToken, type SessionId, type SessionRef } from '../protocol/ids.js';
import { SESSION_HEADER } from '../protocol/mcp.js';
import type { Session } from '../sessions/session.js';
import type { OwnerTeller } from '../sessions/tell-owner.js';
import { awaitsAnswer, type EndCause, type Exchange, type Hop } from '../streams/exchange.js';
import { writeError } from './write-error.js';
import { acceptDeletion, forwardDeletion } from './forward-deletion.js';
import { mayHaveRest, RestExchange } from './rest-exchange.js';
import { newProgress, type Progress } from './progress.js';
import { refuseHop } from './refuse-hop.js';
import { type NamedParts, serveNamed } from './serve-named.js';
import { waitForNews } from './wait-for-news.js';
import type { HoldCause } from './probe.js';
import type { KnownOwner } from './owner-cache.js';
import { type Decision, findStayingWorker, routeFromDirectory, routeFromMemory } from './route-session.js';
import type { Lease, SessionRecord } from '../directory/directory.js';

export interface ExecutionParts extends NamedParts {
  readonly forwarder: Forwarder;
  /** Opens a session for `initialize`; `unavailable`: Redis or the lease is away, nothing was done. */
  open(exchange: Exchange): Promise<'done' | 'unavailable'>;
  /** Another worker tells us to end a session of ours. */
  end(exchange: Exchange, ref: SessionRef, cause: EndCause): Promise<void>;
  /** Another worker asks what only we know. */
  status(exchange: Exchange, version: number): void;
  /** For a DELETE whose owner is silent. */
  readonly teller: Pick<OwnerTeller, 'closeInPlaceOf'>;
  readonly metrics: {
    held(outcome: 'served' | 'timeout' | 'full' | 'aborted'): void;
    forwarded(durationMs: number, outcome: ForwardOutcome['kind']): void;
  };
  log(exchange: Exchange): void;
  /** Somebody sent the id of another principal's session. */
  audit(ref: SessionRef, exchange: Exchange): void;
  warn(message: string, details: Record<string, unknown>): void;
}

/**
 * What follows a step: undefined, the exchange is answered; `again`, decide anew at once; `rest`, its owner was lost in the middle of the
 * answer; else what has to change before that.
 */
type Next = HoldCause | 'again' | 'rest' | undefined;

export class Execution {
  readonly #parts: ExecutionParts;

  constructor(parts: ExecutionParts) {
    this.#parts = parts;
  }

  /** A session was ended in place of its owner, which is silent: what waits for that owner here is answered. */
  endedInPlace(ref: SessionRef): void {
    const { owners, forwarder, hold } = this.#parts;
    owners.end(ref);
    forwarder.cut(ref);
    hold.wake((key) => typeof key === 'string' && referenceOf(key as SessionId) === ref);
  }

  /** Answers the exchange, exactly once, whatever happens. Never rejects. */
  async execute(exchange: Exchange): Promise<void> {
    const progress = newProgress();
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

  #run(exchange: Exchange, progress: Progress): Promise<void> | void {
    if (exchange.hop?.kind === 'end') return this.#parts.end(exchange, exchange.hop.ref, exchange.hop.cause);
    if (exchange.hop?.kind === 'status') return this.#parts.status(exchange, exchange.hop.version);
    if (exchange.body?.kind === 'request' && exchange.body.message.method === 'initialize')
      return this.#initialize(exchange, progress);
    const id = exchange.headers[SESSION_HEADER];
    if (id === undefined) throw new GatewayError('SESSION_HEADER_MISSING');
    if (!isSessionId(id)) throw new GatewayError('SESSION_NOT_FOUND');
    if (exchange.hop?.kind === 'named') return serveNamed(this.#parts, exchange, id, exchange.hop.token);
    return this.#route(exchange, id, progress);
  }

  async #route(exchange: Exchange, id: SessionId, progress: Progress): Promise<void> {
    const { serverId, principal } = exchange;
    for (;;) {
      const view = { id, serverId, principal: principal.digest, refused: progress.refused };
      const decision = routeFromMemory(this.#parts, view) ?? (await routeFromDirectory(this.#parts, view));
      if (exchange.aborted && (exchange.body === undefined || awaitsAnswer(exchange.body)) && exchange.method !== 'DELETE') {
        exchange.note.outcome = 'ABORTED';
        return;
      }
      const next = await this.#carryOut(exchange, id, decision, progress);
      if (next === undefined) return;
      if (next === 'rest') return this.#finishElsewhere(exchange, id, progress);
      if (next !== 'again') await waitForNews(this.#parts, exchange, progress, next, id);
    }
  }

  /**
   * The call is not sent again. Who owns the session now is asked for the rest of its answer, like by a client that comes again with the
   * last id it has seen; so it is the owner before, if only the connection to it was lost.
   */
  async #finishElsewhere(exchange: Exchange, id: SessionId, progress: Progress): Promise<void> {
    progress.heldSinceMs = undefined;
    const rest = new RestExchange(exchange, referenceOf(id));
    try {
      if (!rest.isWhole) await this.#route(rest, id, progress);
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'SESSION_NOT_FOUND') throw forBegunCall(error);
      throw ownerLost(error);
    }
    const { answer } = exchange;
    if (answer.finished || exchange.aborted) return;
    if (rest.isWhole) answer.end();
    else writeError(exchange, ownerLost());
  }

  #carryOut(exchange: Exchange, id: SessionId, decision: Decision, progress: Progress): Next | Promise<Next> {
    switch (decision.kind) {
      case 'gone':
        if (decision.foreign) this.#parts.audit(decision.foreign, exchange);
        if (!progress.mayHaveEnded) throw new GatewayError('SESSION_NOT_FOUND');
        acceptDeletion(exchange, progress.endedVersion);
        return undefined;
      case 'hold':
        return decision.cause;
      case 'local':
        exchange.note.route = exchange.note.route === 'takeover' ? 'takeover' : 'local';
        return this.#serve(decision.session, exchange, progress);
      case 'takeOver':
        return this.#takeOver(exchange, id, decision.from, decision.record, progress);
      case 'forward':
        return this.#forward(exchange, id, decision.owner, progress);
      case 'delegate':
        if (exchange.hop) return refuseHop(exchange, undefined);
        return this.#delegate(exchange, id, decision.to);
    }
  }

  async #takeOver(exchange: Exchange, id: SessionId, from: OwnerToken, record: SessionRecord, progress: Progress): Promise<Next> {
    const session = await this.#parts.takeOver(id, from, record);
    if (!session) return 'claim';
    exchange.note.route = 'takeover';
    return this.#serve(session, exchange, progress);
  }

  async #serve(session: Session, exchange: Exchange, progress: Progress): Promise<Next> {
    const outcome = await this.#parts.serve(session, exchange);
    if (outcome === 'done') return undefined;
    // As after a broken hop: a stream may have lasted for hours.
    if (outcome === 'moved') progress.heldSinceMs = undefined;
    return 'reclaiming';
  }

  async #forward(exchange: Exchange, id: SessionId, owner: KnownOwner, progress: Progress): Promise<Next> {
    // Told to take it, but somebody else owns it by now: the one who told us reads the record again.
    if (exchange.hop) return refuseHop(exchange, owner.token);
    if (exchange.method === 'DELETE') return this.#forwardDeletion(exchange, id, owner, progress);
    return this.#concludeHop(
      exchange,
      id,
      owner,
      progress,
      await this.#hop(exchange, { to: owner.lease }, { kind: 'named', token: owner.token }),
    );
  }

  #concludeHop(exchange: Exchange, id: SessionId, owner: KnownOwner, progress: Progress, outcome: ForwardOutcome): Next {
    exchange.note.session = owner.ref;
    exchange.note.owner = owner.token.owner;
    exchange.note.epoch = owner.token.epoch;
    switch (outcome.kind) {
      case 'answered':
        return undefined;
      case 'notOwner':
        this.#parts.owners.forget(id);
        progress.refused = owner.token;
        // The record may say more by now; no loop, since the next hop needs a newer pair.
        return 'again';
      case 'notBegun':
        this.#parts.owners.forget(id);
        return ownerOf(owner);
      case 'broken':
        this.#parts.owners.forget(id);
        // A stream may have lasted for hours: its next hold counts from now.
        if (exchange.answer.started) progress.heldSinceMs = undefined;
        return this.#afterBroken(exchange, ownerOf(owner), outcome.reason);
    }
  }

  async #forwardDeletion(exchange: Exchange, id: SessionId, owner: KnownOwner, progress: Progress): Promise<Next> {
    exchange.note.route = 'forward';
    const outcome = await forwardDeletion(this.#parts, exchange, owner, progress);
    if (outcome.kind !== 'closedHere') return this.#concludeHop(exchange, id, owner, progress, outcome);
    exchange.note.session = owner.ref;
    this.#parts.owners.forget(id);
    return outcome.next;
  }

  /** A hop that broke may have run. Requests are not repeated; what has no answer to lose, or is idempotent, goes to whoever owns now. */
  #afterBroken(exchange: Exchange, cause: HoldCause, reason: string): Next {
    if (!exchange.body || !awaitsAnswer(exchange.body)) return cause;
    if (reason === SESSION_ENDED) throw forBegunCall(new GatewayError('SESSION_NOT_FOUND'));
    this.#parts.warn('a hop broke after its request had left', { reason, session: exchange.note.session });
    if (mayHaveRest(exchange)) return 'rest';
    writeError(exchange, ownerLost());
    return undefined;
  }

  async #delegate(exchange: Exchange, id: SessionId, to: Lease): Promise<Next> {
    const outcome = await this.#hop(exchange, { to }, { kind: 'take' });
    this.#parts.owners.forget(id);
    if (outcome.kind === 'answered') return undefined;
    return outcome.kind === 'broken' ? this.#afterBroken(exchange, to.id, outcome.reason) : to.id;
  }

  async #initialize(exchange: Exchange, progress: Progress): Promise<void> {
    for (;;) {
      // A session for a caller that has left would count against the caps until it idles out.
      if (exchange.aborted) {
        exchange.note.outcome = 'ABORTED';
        return;
      }
      const next = await this.#openOrDelegate(exchange);
      // What opens a session has no rest elsewhere (see mayHaveRest).
      if (next === undefined || next === 'rest') return;
      if (next !== 'again') await waitForNews(this.#parts, exchange, progress, next, exchange);
    }
  }

  async #openOrDelegate(exchange: Exchange): Promise<Next> {
    if (this.#parts.keeper.isDraining) {
      if (exchange.hop) return refuseHop(exchange, undefined);
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
    // A stream that was open for hours is no slow hop.
    if (exchange.method !== 'GET') this.#parts.metrics.forwarded(this.#parts.clock.monotonicMs() - startedMs, outcome.kind);
    if (outcome.kind === 'answered') exchange.note.outcome = outcome.status >= 400 ? `HTTP_${outcome.status}` : 'ok';
    return outcome;
  }
}

function ownerLost(cause?: unknown): GatewayError {
  const details = { reason: 'owner_lost' };
  return new GatewayError('OUTCOME_UNKNOWN', { message: 'the worker that ran it was lost', details, cause });
}

/** What is forwarded to has an owner. */
function ownerOf({ lease }: KnownOwner): HoldCause {
  return lease.id;
}
