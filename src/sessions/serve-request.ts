// Serves one JSON-RPC request of an owned session: what the gateway answers itself, what comes from the merged catalogs, and what
// goes to one backend. The hot path (tools/call with a known catalog) is synchronous up to the backend.
import { type AcceptedTypes, acceptedTypes } from '../eras/legacy/accept.js';
import { LegacyCallAnswer } from '../eras/legacy/call-answer.js';
import { GatewayError, toGatewayError } from '../errors/gateway-error.js';
import type { Clock } from '../lifecycle/clock.js';
import { isObject, type JsonRpcRequest, progressTokenOf, resultText } from '../protocol/json-rpc.js';
import { withoutServerId } from '../servers/inject-server-id.js';
import { isUnfiltered } from '../servers/tool-filter.js';
import type { Exchange } from '../streams/exchange.js';
import type { KeepAlive } from '../streams/keep-alive.js';
import type { ClientRequests } from './client-requests.js';
import type { ListKind, SessionCatalogs } from './session-catalogs.js';
import type { CallInFlight, RequestHere, Session } from './session.js';
import type { SessionBackends } from './session-backends.js';
import type { ServeOutcome } from './serve-session.js';
import { CallStreams, type SharedStream } from './call-streams.js';
import type { StandingServer } from './serve-standing.js';
import type { RequestOf, Serving } from './serving.js';
import { versionHeader } from './version-header.js';

export interface RequestServerParts {
  readonly clock: Clock;
  readonly keepAlive: KeepAlive;
  readonly sessionBackends: SessionBackends;
  readonly catalogs: SessionCatalogs;
  readonly standing: Pick<StandingServer, 'setLevel' | 'subscribe' | 'unsubscribe'>;
  readonly clientRequests: Pick<ClientRequests, 'deliverHeld'>;
  readonly onBackendError: (backend: string, error: GatewayError) => void;
}

/** Where a request goes and what has to be changed in its params on the way. */
interface Destination {
  readonly backend: string;
  readonly changed?: Readonly<Record<string, unknown>>;
}

/** A map, not an object: a client may name its method `constructor`. */
const LISTS: ReadonlyMap<string, ListKind> = new Map([
  ['tools/list', 'tools'],
  ['prompts/list', 'prompts'],
  ['resources/list', 'resources'],
  ['resources/templates/list', 'resourceTemplates'],
]);

/** An answer that is still open after this long becomes a stream with comments, so that balancers do not cut it. */
export const STREAM_AFTER_MS = 10_000;
const EMPTY_RESULT = '{}';
const NO_COMPLETION = '{"completion":{"values":[],"total":0,"hasMore":false}}';

/** Where the answer goes of a request that is answered together with others. */
export interface SharedAnswer extends SharedStream {
  readonly accepts: AcceptedTypes;
}

export class RequestServer {
  readonly #parts: RequestServerParts;

  constructor(parts: RequestServerParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when the answer is complete; a caller that leaves does not end a call in this era.
   * @param shared keeps the answer alive itself; default an answer of its own
   */
  serve(session: Session, exchange: Exchange, body: RequestOf, shared?: SharedAnswer): Promise<ServeOutcome> {
    const { keepAlive, clock } = this.#parts;
    const accepts = shared?.accepts ?? acceptedTypes(exchange.headers.accept);
    session.inFlight++;
    return new Promise((resolve) => {
      const { id } = body.message;
      const headers = versionHeader(session);
      const opener = new CallStreams(session, exchange, id, headers, shared);
      const answer = new LegacyCallAnswer(exchange, accepts, headers, id, opener, (outcome, error) => {
        if (outcome === 'NOT_OWNER') session.cancellations.left(id);
        session.leave();
        session.lastUsedMs = clock.wallMs();
        keepAlive.remove(answer);
        exchange.note.outcome = outcome;
        if (error && exchange.note.backend) this.#parts.onBackendError(exchange.note.backend, error);
        resolve(outcome === 'NOT_OWNER' ? 'notOwner' : 'done');
      });
      if (session.cancellations.arrived(id, clock)) {
        answer.cancel();
        return;
      }
      if (!shared) keepAlive.add(answer, STREAM_AFTER_MS);
      try {
        const work = this.#dispatch({ session, exchange, body, answer });
        if (work) this.#await(session, { id, answer }, work);
      } catch (error) {
        answer.fail(toGatewayError(error));
      }
    });
  }

  /** Until it is handed to a backend, or answered here. */
  #await(session: Session, request: RequestHere, work: Promise<void>): void {
    session.requestsHere ??= new Set();
    const { requestsHere } = session;
    requestsHere.add(request);
    work.catch((error: unknown) => request.answer.fail(toGatewayError(error))).finally(() => requestsHere.delete(request));
  }

  #dispatch(serving: Serving): Promise<void> | undefined {
    const { method } = serving.body.message;
    switch (method) {
      case 'ping':
        this.#answerResult(serving, EMPTY_RESULT);
        return undefined;
      case 'tools/call':
        return this.#callNamed(serving, 'tools');
      case 'prompts/get':
        return this.#callNamed(serving, 'prompts');
      case 'resources/read':
        return this.#callResource(serving);
      case 'resources/subscribe':
        return this.#parts.standing.subscribe(serving);
      case 'resources/unsubscribe':
        return this.#parts.standing.unsubscribe(serving);
      case 'completion/complete':
        return this.#complete(serving);
      case 'logging/setLevel':
        return this.#parts.standing.setLevel(serving);
      default: {
        const kind = LISTS.get(method);
        return kind ? this.#list(serving, kind) : this.#passThrough(serving);
      }
    }
  }

  #answerResult({ body, answer }: Serving, resultJson: string): void {
    answer.message(resultText(body.message.id, resultJson), true);
  }

  async #list(serving: Serving, kind: ListKind): Promise<void> {
    const { session, exchange, body } = serving;
    // Some clients write what they have not.
    const cursor = body.message.params?.cursor || undefined;
    if (cursor !== undefined && typeof cursor !== 'string')
      throw new GatewayError('BAD_ARGUMENT', { message: 'params.cursor must be a string' });
    this.#answerResult(serving, await this.#parts.catalogs.list(session, kind, cursor, exchange));
  }

  /** A tool or prompt, by the name that this session was told. */
  #callNamed(serving: Serving, kind: 'tools' | 'prompts'): Promise<void> | undefined {
    const { session, exchange, body } = serving;
    const name = body.message.params?.name;
    if (typeof name !== 'string') throw new GatewayError('BAD_ARGUMENT', { message: 'params.name must be a string' });
    const known = this.#parts.catalogs.findNamedNow(session, kind, name);
    if (known) {
      this.#send(serving, destinationOf(known, name));
      return undefined;
    }
    return this.#parts.catalogs
      .findNamed(session, kind, name, exchange)
      .then((found) => this.#send(serving, destinationOf(found, name)));
  }

  async #callResource(serving: Serving): Promise<void> {
    const { session, exchange, body } = serving;
    const uri = body.message.params?.uri;
    if (typeof uri !== 'string') throw new GatewayError('BAD_ARGUMENT', { message: 'params.uri must be a string' });
    this.#send(serving, { backend: await this.#parts.catalogs.findResource(session, uri, exchange) });
  }

  async #complete(serving: Serving): Promise<void> {
    const { session, exchange, body } = serving;
    const ref = body.message.params?.ref;
    if (!isObject(ref)) throw new GatewayError('BAD_ARGUMENT', { message: 'params.ref must be an object' });
    const found = await this.#parts.catalogs.findReference(session, ref, exchange);
    const backend = this.#parts.sessionBackends.get(session, found.backend);
    const info = await backend?.open(exchange.deadlineMs, exchange.headers);
    // Other backends of the server complete; this one has nothing to suggest, and a strict one would fail.
    if (info && !info.capabilities.completions && session.facts.server.backends.length > 1) {
      this.#answerResult(serving, NO_COMPLETION);
      return;
    }
    this.#send(serving, { backend: found.backend, ...(found.changed ? { changed: { ref: found.ref } } : {}) });
  }

  /** Methods that we do not know: with one backend there is no doubt whose they are. */
  #passThrough(serving: Serving): undefined {
    const { backends } = serving.session.facts.server;
    const [only] = backends;
    if (backends.length !== 1 || only === undefined) {
      throw new GatewayError('METHOD_NOT_FOUND', { details: { method: serving.body.message.method } });
    }
    this.#send(serving, { backend: only });
    return undefined;
  }

  #send({ session, exchange, body, answer }: Serving, destination: Destination): void {
    const backend = this.#parts.sessionBackends.get(session, destination.backend);
    if (!backend) {
      throw new GatewayError('BACKEND_UNAVAILABLE', { details: { backend: destination.backend, reason: 'removed' } });
    }
    if (answer.ended) return;
    exchange.note.backend = destination.backend;
    const message = withoutServerId(body.message, destination.changed);
    // Behind a filter a backend gets what we have read and judged, not the caller's bytes: of two equal keys it may take the other.
    const mayRelay = body.mayRelay && !destination.changed && isUnfiltered(session.facts.server.tools);
    const bytes = mayRelay ? body.bytes : stringify(message);
    const call: { -readonly [K in keyof CallInFlight]: CallInFlight[K] } = {
      id: message.id,
      backend: destination.backend,
      progressToken: progressTokenOf(message.params),
      running: undefined,
      answer,
      exchange,
    };
    session.calls.add(call);
    answer.onEnded(() => session.calls.delete(call));
    call.running = backend.call({ message, bytes, headers: exchange.headers, deadlineMs: exchange.deadlineMs, sink: answer });
    if (session.questions?.isHolding) this.#parts.clientRequests.deliverHeld(session);
  }
}

/** Params are changed only where the backend calls it otherwise: what need not be changed is relayed as it came. */
function destinationOf(found: { readonly backend: string; readonly name: string }, calledAs: string): Destination {
  return found.name === calledAs ? { backend: found.backend } : { backend: found.backend, changed: { name: found.name } };
}

/** @throws GatewayError BAD_ARGUMENT for what can be read but not written: objects within objects, hundreds of thousands deep */
function stringify(message: JsonRpcRequest): string {
  try {
    return JSON.stringify(message);
  } catch (cause) {
    throw new GatewayError('BAD_ARGUMENT', { message: 'params are nested too deeply', cause });
  }
}
