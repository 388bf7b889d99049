// Serves one request of a session that this worker owns. Whether it came from the public edge or over the hop is not known here.
import { GatewayError } from '../errors/gateway-error.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import type { JsonRpcNotification } from '../protocol/json-rpc.js';
import type { Exchange, Headers } from '../streams/exchange.js';
import type { KeepAlive } from '../streams/keep-alive.js';
import type { SessionEnder } from './end-session.js';
import type { RequestServer } from './serve-request.js';
import type { Session } from './session.js';
import { StandaloneStream } from './standalone-stream.js';
import { versionHeader } from './version-header.js';

/**
 * `notOwner`: nothing has begun and the session is not (or not yet again) ours: back to routing. `moved`: a stream that was open here
 * goes on wherever the session is served next, so it goes back to routing as well.
 */
export type ServeOutcome = 'done' | 'notOwner' | 'moved';

/** DELETE waits so long for a silent Redis, like any request that is held. */
const MAX_END_MS = 10_000;

export interface SessionServerParts {
  readonly clock: Clock;
  readonly ender: SessionEnder;
  readonly keepAlive: KeepAlive;
  readonly requests: RequestServer;
}

export class SessionServer {
  readonly #parts: SessionServerParts;

  constructor(parts: SessionServerParts) {
    this.#parts = parts;
  }

  /** @throws GatewayError SESSION_NOT_FOUND for a stranger to the session, or when it has ended */
  async serve(session: Session, exchange: Exchange): Promise<ServeOutcome> {
    const { facts, token } = session;
    // I4: bound to server and principal, on every path; a stranger learns nothing but that there is no such session.
    if (facts.server.id !== exchange.serverId || facts.principal !== exchange.principal.digest || session.state === 'ended') {
      throw new GatewayError('SESSION_NOT_FOUND');
    }
    const { note, body } = exchange;
    note.session = facts.ref;
    note.owner = token.owner;
    note.epoch = token.epoch;
    note.protocolVersion = facts.protocolVersion;
    if (!session.mayAct() || (session.isLeaving && body?.kind === 'request')) return 'notOwner';
    session.lastUsedMs = this.#parts.clock.wallMs();
    if (exchange.method === 'DELETE') return this.#end(session, exchange);
    if (exchange.method === 'GET') return this.#openStandalone(session, exchange);
    switch (body?.kind) {
      case 'request':
        return this.#parts.requests.serve(session, exchange, body);
      case 'notification':
        this.#accept(session, exchange);
        this.#notify(session, body.message, exchange.headers);
        return 'done';
      case 'response':
      case undefined:
        // Backends were told of no client capabilities, so nothing waits for an answer: dropped, like any late one.
        this.#accept(session, exchange);
        return 'done';
    }
  }

  #accept(session: Session, exchange: Exchange): void {
    exchange.answer.send(202, versionHeader(session));
  }

  #notify(session: Session, message: JsonRpcNotification, headers: Headers): void {
    switch (message.method) {
      case 'notifications/cancelled':
        session.cancel(message);
        return;
      case 'notifications/initialized':
      case 'notifications/roots/list_changed':
        // The gateway made its own handshake with each backend, and told none of them of roots.
        return;
      default:
        for (const backend of session.backends.values())
          if (backend.isOpen) this.#pass(session, backend.notify(message, headers));
    }
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

  /** Newest wins: the one before ends cleanly. Resolves when the stream is over, so that it is logged and counted as one request. */
  #openStandalone(session: Session, exchange: Exchange): Promise<ServeOutcome> {
    const { keepAlive, clock } = this.#parts;
    if (exchange.isReattached && session.standalone) {
      exchange.answer.end();
      return Promise.resolve('done');
    }
    session.standalone?.end();
    return new Promise((resolve) => {
      const stream = new StandaloneStream(exchange);
      session.standalone = stream;
      keepAlive.add(stream);
      for (const backend of session.backends.values()) backend.setListening(true);
      stream.open(versionHeader(session), (how) => {
        keepAlive.remove(stream);
        session.lastUsedMs = clock.wallMs();
        if (session.standalone === stream) {
          session.standalone = undefined;
          for (const backend of session.backends.values()) backend.setListening(false);
        }
        resolve(how === 'moved' ? 'moved' : 'done');
      });
    });
  }
}
