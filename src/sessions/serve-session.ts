// Serves one request of a session that this worker owns. Whether it came from the public edge or over the hop is not known here.
import { GatewayError } from '../errors/gateway-error.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import type { SessionRef } from '../protocol/ids.js';
import { errorText, type JsonRpcNotification, type RequestId } from '../protocol/json-rpc.js';
import { LAST_EVENT_ID_HEADER } from '../protocol/mcp.js';
import { decodeEventId, encodeEventId, type EventId } from '../streams/event-id.js';
import { startEventStream, writeEvent } from '../streams/event-stream.js';
import { awaitsAnswer, type Exchange, type Headers, type MessageBody } from '../streams/exchange.js';
import type { KeepAlive } from '../streams/keep-alive.js';
import type { ResumableStream } from '../streams/resumable-stream.js';
import { askableCapabilities } from './askable.js';
import type { ClientRequests } from './client-requests.js';
import type { SessionEnder } from './end-session.js';
import { goOnListening } from './go-on-listening.js';
import type { CallResumer } from './resume-call.js';
import { type BatchParts, serveBatch } from './serve-batch.js';
import type { RequestServer } from './serve-request.js';
import type { Session } from './session.js';
import type { StandingRequests } from './standing-requests.js';
import { versionHeader } from './version-header.js';

/**
 * `notOwner`: nothing has begun and the session is not (or not yet again) ours: back to routing. `moved`: a stream that was open here
 * goes on wherever the session is served next, so it goes back to routing as well.
 */
export type ServeOutcome = 'done' | 'notOwner' | 'moved';

type UnansweredOf = Exclude<MessageBody, { kind: 'request' }>;

/** DELETE waits so long for a silent Redis, like any request that is held. */
const MAX_END_MS = 10_000;

export interface SessionServerParts {
  readonly clock: Clock;
  readonly ender: SessionEnder;
  readonly keepAlive: KeepAlive;
  readonly requests: RequestServer;
  readonly resumer: CallResumer;
  readonly clientRequests: Pick<ClientRequests, 'answer' | 'progress' | 'deliverHeld'>;
  readonly standing: Pick<StandingRequests, 'listening'>;
  /** Somebody sent the id of another principal's session. */
  readonly audit: (ref: SessionRef, exchange: Exchange) => void;
}

export class SessionServer {
  readonly #parts: SessionServerParts;
  readonly #batchParts: BatchParts;

  constructor(parts: SessionServerParts) {
    this.#parts = parts;
    const { requests, keepAlive } = parts;
    this.#batchParts = { requests, keepAlive, take: (session, exchange, body) => this.#take(session, exchange, body) };
  }

  /**
   * @returns no promise where there is nothing to wait for
   * @throws GatewayError SESSION_NOT_FOUND for a stranger to the session, or when it has ended; at once or by rejection
   */
  serve(session: Session, exchange: Exchange): ServeOutcome | Promise<ServeOutcome> {
    const { facts, token } = session;
    // Bound to server and principal, on every path; a stranger learns nothing but that there is no such session.
    const isForeign = facts.principal !== exchange.principal.digest;
    if (isForeign) this.#parts.audit(facts.ref, exchange);
    if (isForeign || facts.server.id !== exchange.serverId || session.state === 'ended') {
      throw new GatewayError('SESSION_NOT_FOUND');
    }
    const { note, body } = exchange;
    note.session = facts.ref;
    note.owner = token.owner;
    note.epoch = token.epoch;
    note.protocolVersion = facts.protocolVersion;
    if (!session.mayAct() || (session.isLeaving && body && awaitsAnswer(body))) return 'notOwner';
    session.lastUsedMs = this.#parts.clock.wallMs();
    if (exchange.method === 'DELETE') return this.#end(session, exchange);
    if (exchange.method === 'GET') return this.#openStream(session, exchange);
    switch (body?.kind) {
      case 'request':
        return this.#parts.requests.serve(session, exchange, body);
      case 'batch':
        return serveBatch(this.#batchParts, session, exchange, body);
      case 'notification':
      case 'response':
        this.#take(session, exchange, body);
        this.#accept(session, exchange);
        return 'done';
      case undefined:
        this.#accept(session, exchange);
        return 'done';
    }
  }

  /** @throws GatewayError ANSWER_UNKNOWN for an answer to nothing that was asked */
  #take(session: Session, { headers }: Exchange, body: UnansweredOf): void {
    if (body.kind === 'notification') {
      this.#notify(session, body.message, headers);
      return;
    }
    // To a question of a backend. A late or second one is dropped, like any that nobody waits for.
    const outcome = this.#parts.clientRequests.answer(session, body.message, body.bytes, headers);
    if (outcome.kind === 'unknown') throw new GatewayError('ANSWER_UNKNOWN');
    if (outcome.kind === 'delivered') this.#pass(session, outcome.done);
  }

  #accept(session: Session, exchange: Exchange): void {
    exchange.answer.send(202, versionHeader(session));
  }

  #notify(session: Session, message: JsonRpcNotification, headers: Headers): void {
    switch (message.method) {
      case 'notifications/cancelled':
        session.cancel(message, headers, this.#parts.clock.monotonicMs());
        return;
      case 'notifications/initialized':
        // The gateway made its own handshake with each backend.
        return;
      case 'notifications/roots/list_changed':
        // Where it told them of no roots, a strict one takes this for an error.
        if (askableCapabilities(session.facts.client.capabilities).roots === undefined) return;
        break;
      case 'notifications/progress': {
        // Under a token that no question of a backend was asked with, it is for nobody.
        const own = this.#parts.clientRequests.progress(session, message);
        if (own?.backend.isOpen) this.#pass(session, own.backend.notify(own.message, headers));
        return;
      }
      default:
    }
    for (const backend of session.backends.values()) if (backend.isOpen) this.#pass(session, backend.notify(message, headers));
  }

  /** In flight like a request: a session that is released meanwhile would lose it. */
  #pass(session: Session, sent: Promise<void>): void {
    session.inFlight++;
    void sent.catch(() => undefined).finally(() => session.leave());
  }

  async #end(session: Session, exchange: Exchange): Promise<ServeOutcome> {
    const { clock, ender } = this.#parts;
    let timer: Timer | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = clock.after(MAX_END_MS, () => resolve('late'));
    });
    const outcome = await Promise.race([ender.end(session, 'deleted'), late]);
    timer?.cancel();
    // It is dead here; the record follows when Redis is back.
    if (outcome === 'late') throw new GatewayError('HELD_TOO_LONG');
    if (outcome === 'fenced') return 'notOwner';
    this.#accept(session, exchange);
    return 'done';
  }

  /** Resolves when the stream is over, so that it is logged and counted as one request. */
  #openStream(session: Session, exchange: Exchange): ServeOutcome | Promise<ServeOutcome> {
    const text = exchange.resumeAfter ?? exchange.headers[LAST_EVENT_ID_HEADER];
    const last = text === undefined ? undefined : decodeEventId(text, session.facts.ref);
    if (last?.stream.kind === 'call') return this.#resumeCall(session, exchange, last, last.stream.id);
    if (exchange.isReattached && session.standalone) return this.#nothingMore(session, exchange);
    // Race: the reader left on the way here. To go on for nobody would empty the memory, and nobody would ask the backends again.
    if (exchange.aborted) {
      exchange.note.outcome = 'ABORTED';
      return 'done';
    }
    const { clock } = this.#parts;
    const { streams } = session;
    const { from, ...goOn } = goOnListening(session, last);
    const read = this.#read(session, exchange, streams.standalone, goOn, () => {
      streams.noteLeft(clock.monotonicMs());
      if (session.standalone !== streams.standalone || streams.standalone.hasReader) return;
      session.standalone = undefined;
      for (const backend of session.backends.values()) backend.setListening(false);
    });
    if (streams.standalone.hasReader) {
      session.standalone = streams.standalone;
      session.listeningHeaders = exchange.headers;
      for (const [name, backend] of session.backends) backend.setListening(true, exchange.headers, from(name));
      this.#parts.standing.listening(session);
      this.#parts.clientRequests.deliverHeld(session);
    }
    return read;
  }

  /** The answer of a call whose caller was cut off. It touches no other stream. */
  #resumeCall(session: Session, exchange: Exchange, last: EventId, id: RequestId): ServeOutcome | Promise<ServeOutcome> {
    const stream = session.streams.findCall(id);
    const after = last.epoch === session.streams.epoch ? last.seq : stream?.findMarks(last.marks ?? '');
    const isKnown = stream !== undefined && after !== undefined;
    if (isKnown && stream.hasMoreAfter(after)) return this.#read(session, exchange, stream, { after });
    if (isKnown || last.isFinal) return this.#nothingMore(session, exchange);
    // The memory of it is gone, and the call with it or its answer; unless its backend still knows.
    const isOthers = last.epoch !== session.streams.epoch;
    const rest = isOthers ? this.#parts.resumer.resume(session, exchange, last, id) : undefined;
    if (rest) return this.#read(session, exchange, rest, { after: 0 });
    const error = new GatewayError('OUTCOME_UNKNOWN', { message: 'the answer was lost', details: { reason: 'stream_lost' } });
    exchange.note.outcome = error.code;
    const { answer } = exchange;
    startEventStream(answer, versionHeader(session));
    writeEvent(answer, errorText(id, error.toJsonRpc()), encodeEventId({ ...last, isFinal: true }));
    answer.end();
    return 'done';
  }

  /**
   * Nothing more will come: a client that was told so does not ask again. Over a hop no answer has been started here, also where the edge
   * has begun one for an earlier owner; it ends that as soon as it hears of the 204.
   */
  #nothingMore(session: Session, { answer }: Exchange): ServeOutcome {
    if (answer.started) answer.end();
    else answer.send(204, versionHeader(session));
    return 'done';
  }

  #read(
    session: Session,
    exchange: Exchange,
    stream: ResumableStream,
    from: { readonly after?: number; readonly hasGap?: boolean },
    onEnd?: () => void,
  ): Promise<ServeOutcome> {
    const { keepAlive, clock } = this.#parts;
    return new Promise((resolve) => {
      stream.attach({
        exchange,
        headers: versionHeader(session),
        isPrimed: session.isPrimed,
        ...from,
        onEnd: (how) => {
          session.lastUsedMs = clock.wallMs();
          if (!stream.hasReader) keepAlive.remove(stream);
          onEnd?.();
          resolve(how === 'moved' ? 'moved' : 'done');
        },
      });
      if (stream.hasReader) keepAlive.add(stream);
    });
  }
}
