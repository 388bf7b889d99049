// POST, GET, DELETE and OPTIONS on /mcp and /servers/<id>/mcp: the checks of the contract in their order, then the one execution path.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authenticate, Caller, ShowingConnection } from '../auth/principals.js';
import { readAccept } from '../eras/legacy/accept.js';
import { GatewayError, retryHeader, toGatewayError } from '../errors/gateway-error.js';
import { Bag } from '../lifecycle/bag.js';
import type { Clock } from '../lifecycle/clock.js';
import { errorText, type RequestId } from '../protocol/json-rpc.js';
import {
  FORWARDED_HEADER,
  INTERNAL_HEADER_PREFIX,
  isLegacyVersion,
  LAST_EVENT_ID_HEADER,
  LEGACY_VERSIONS,
  SESSION_HEADER,
  VERSION_HEADER,
} from '../protocol/mcp.js';
import { awaitsAnswer, type Exchange, type Headers, type Principal, type RequestBody } from '../streams/exchange.js';
import type { BodyPlace, BodyRoom } from './body-room.js';
import { type Connections, TOO_MANY_CONNECTIONS } from './connections.js';
import { corsHeaders, preflightHeaders } from './cors.js';
import type { HostGuard } from './host-guard.js';
import { HttpAnswer, HttpExchange, type HttpExchangeFacts, readBody } from './http-exchange.js';
import { Lingering } from './linger.js';
import { readMessage, UnusableMessage } from './read-message.js';

export interface McpEndpointParts {
  readonly hostGuard: HostGuard;
  /** Whether this id is served here; '' is `/mcp`. */
  readonly hasServer: (serverId: string) => boolean;
  readonly authenticate: Authenticate;
  /** Lower-case names of all headers that any backend wants (`forwardHeaders`). */
  readonly forwardHeaders: ReadonlySet<string>;
  readonly limits: { readonly bodyBytes: number; readonly requestTimeoutMs: number };
  readonly clock: Clock;
  readonly bodyRoom: BodyRoom;
  readonly connections: Pick<Connections, 'isExcess'>;
  readonly execute: (exchange: Exchange) => Promise<void>;
  readonly isDraining: () => boolean;
  readonly onRefused: (error: GatewayError) => void;
}

/** The protocol's own headers; nothing else of the client goes further, credentials least of all. */
const PASSED_HEADERS = ['accept', SESSION_HEADER, VERSION_HEADER, LAST_EVENT_ID_HEADER, 'traceparent', 'tracestate', 'baggage'];
/** A GET stream has no deadline of its own: 100 days. */
const STREAM_DEADLINE_MS = 100 * 86_400_000;
const ALLOWED = 'GET, POST, DELETE';

export class McpEndpoint {
  readonly #parts: McpEndpointParts;
  /** Made of these; a reload brings others. */
  #wanted: ReadonlySet<string> | undefined;
  #passed: readonly string[] = [];
  readonly #open = new Bag<HttpExchange>('open');
  readonly #lingering: Lingering;

  constructor(parts: McpEndpointParts) {
    this.#parts = parts;
    this.#lingering = new Lingering(parts.clock);
  }

  /** Answers the request, whatever it is. Never rejects. @param serverId undefined: a path below /servers that is no endpoint */
  async handle(request: IncomingMessage, response: ServerResponse, serverId: string | undefined): Promise<void> {
    if (this.#lingering.has(request.socket)) {
      request.resume();
      return;
    }
    const startedMs = this.#parts.clock.monotonicMs();
    const answer = new HttpAnswer(response, () => this.#extraHeaders(request));
    let exchange: HttpExchange | undefined;
    let place: BodyPlace | undefined;
    try {
      const caller = this.#admit(request, answer, serverId);
      if (!caller) return;
      if (request.method === 'POST') place = this.#placeFor(request);
      // One wait for the body and one for the answer: each further one is paid by every request.
      const body = request.method === 'POST' ? this.#message(await this.#bytes(request, place), serverId as string) : undefined;
      if (this.#parts.connections.isExcess(request.socket)) refuseIfRequest(request, body);
      exchange = new HttpExchange(this.#facts(request, serverId as string, caller, body, startedMs), response, answer);
      this.#open.add(exchange);
      await this.#parts.execute(exchange);
    } catch (error) {
      // The caller left while its body was read: there is nobody to tell.
      if (request.destroyed && !request.complete) return;
      const [known, id] = error instanceof UnusableMessage ? [error.error, error.id] : [toGatewayError(error), undefined];
      this.#refuse(request, answer, known, id);
    } finally {
      if (exchange) this.#open.delete(exchange);
      place?.leave();
    }
  }

  /**
   * Ends the open GET streams of this listener cleanly. A drain ends all: their clients come again, to a worker that stays.
   * @param of whose; default everybody's
   */
  endStreams(of: (principal: Principal) => boolean = () => true): void {
    for (const exchange of this.#open.toArray()) if (exchange.method === 'GET' && of(exchange.principal)) exchange.abandon();
  }

  /** Those whose head has left, and that have not ended. */
  begunAnswers(): HttpAnswer[] {
    return this.#open
      .toArray()
      .map(({ answer }) => answer)
      .filter(({ started }) => started);
  }

  /** What is checked before a body is read. @returns who calls; undefined if that is all there is to do */
  #admit(request: IncomingMessage, answer: HttpAnswer, serverId: string | undefined): Caller | undefined {
    const { headers } = request;
    const { hostGuard, authenticate, hasServer } = this.#parts;
    if (!hostGuard.isHostAllowed(headers.host)) throw new GatewayError('HOST_FORBIDDEN');
    if (!hostGuard.isOriginAllowed(headers.origin)) throw new GatewayError('ORIGIN_FORBIDDEN');
    if (serverId === undefined) throw new GatewayError('SERVER_NOT_FOUND');
    const { method } = request;
    if (method === 'OPTIONS') {
      answer.send(204, preflightHeaders(headers.origin, headers['access-control-request-headers'] as string | undefined));
      return undefined;
    }
    if (method !== 'POST' && method !== 'GET' && method !== 'DELETE') throw new GatewayError('METHOD_NOT_ALLOWED');
    const caller = authenticate(headers, request.socket as ShowingConnection);
    // After authentication: whether an id exists is nobody's business who may not come in.
    if (!hasServer(serverId)) throw new GatewayError('SERVER_NOT_FOUND');
    this.#checkHeaders(request, method);
    return caller;
  }

  #facts(
    { method, headers }: IncomingMessage,
    serverId: string,
    { principal, consumed }: Caller,
    body: RequestBody | undefined,
    startedMs: number,
  ): HttpExchangeFacts {
    this.#checkVersion(headers[VERSION_HEADER] as string | undefined, body);
    return {
      method: method as HttpExchange['method'],
      serverId,
      headers: this.#pick(headers, consumed),
      body,
      principal,
      startedMs,
      deadlineMs: startedMs + (method === 'GET' ? STREAM_DEADLINE_MS : this.#parts.limits.requestTimeoutMs),
    };
  }

  #checkHeaders(request: IncomingMessage, method: 'POST' | 'GET' | 'DELETE'): void {
    const { headers } = request;
    if (method !== 'DELETE') {
      const accepts = readAccept(headers.accept);
      if (!accepts || (method === 'GET' && !accepts.events)) throw new GatewayError('NOT_ACCEPTABLE');
    }
    if (method === 'POST') {
      const type = headers['content-type'];
      if (type === undefined || !/^application\/json\s*(;|$)/i.test(type)) throw new GatewayError('UNSUPPORTED_MEDIA_TYPE');
      // We would have to buffer and inflate what may be a bomb; no MCP client compresses its requests.
      if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity') {
        throw new GatewayError('UNSUPPORTED_MEDIA_TYPE', { message: 'compressed bodies are not accepted' });
      }
    }
  }

  /** Before a byte of it is read. Undefined: it is small, or too large to be read at all. */
  #placeFor({ headers }: IncomingMessage): BodyPlace | undefined {
    const length = headers['content-length'];
    const declared = length === undefined ? undefined : Number(length);
    if (declared !== undefined && declared > this.#parts.limits.bodyBytes) return undefined;
    return this.#parts.bodyRoom.enter(declared);
  }

  /** Undefined: there are too many. */
  #bytes(request: IncomingMessage, place: BodyPlace | undefined): Promise<Buffer | undefined> | undefined {
    const { bodyBytes } = this.#parts.limits;
    const declared = Number(request.headers['content-length'] ?? 0);
    return declared > bodyBytes ? undefined : readBody(request, bodyBytes, place);
  }

  #message(bytes: Buffer | undefined, serverId: string): RequestBody {
    if (bytes) return readMessage(bytes, serverId);
    throw new GatewayError('BODY_TOO_LARGE', { message: `the limit is ${this.#parts.limits.bodyBytes} bytes` });
  }

  /** initialize negotiates and is not judged; any other version that we speak is let through. */
  #checkVersion(version: string | undefined, body: RequestBody | undefined): void {
    if (version === undefined || isLegacyVersion(version)) return;
    if (body?.kind === 'request' && body.message.method === 'initialize') return;
    const id = body?.kind === 'request' ? body.message.id : undefined;
    const supported = LEGACY_VERSIONS.join(', ');
    throw new UnusableMessage(new GatewayError('VERSION_UNSUPPORTED', { message: `supported versions: ${supported}` }), id);
  }

  #pick(headers: IncomingMessage['headers'], consumed: readonly string[]): Headers {
    const { forwardHeaders } = this.#parts;
    if (this.#wanted !== forwardHeaders) {
      const internal = (name: string) => name === FORWARDED_HEADER || name.startsWith(INTERNAL_HEADER_PREFIX);
      this.#passed = [...new Set([...PASSED_HEADERS, ...forwardHeaders])].filter((name) => !internal(name));
      this.#wanted = forwardHeaders;
    }
    const picked: Record<string, string> = {};
    for (const name of this.#passed) {
      const value = headers[name];
      if (value !== undefined && !consumed.includes(name)) picked[name] = typeof value === 'string' ? value : value.join(', ');
    }
    return picked;
  }

  #extraHeaders(request: IncomingMessage): Headers | undefined {
    const { origin } = request.headers;
    const cors = origin !== undefined && this.#parts.hostGuard.isOriginAllowed(origin) ? corsHeaders(origin) : undefined;
    const closes = this.#parts.isDraining() || this.#parts.connections.isExcess(request.socket);
    return closes ? { ...cors, connection: 'close' } : cors;
  }

  #refuse(request: IncomingMessage, answer: HttpAnswer, error: GatewayError, id: RequestId | undefined): void {
    this.#parts.onRefused(error);
    const headers: Record<string, string> = { 'content-type': 'application/json', ...retryHeader(error) };
    if (error.challenge !== undefined) headers['www-authenticate'] = error.challenge;
    if (error.code === 'METHOD_NOT_ALLOWED') headers.allow = ALLOWED;
    const text = errorText(id, error.toJsonRpc());
    // The rest of a body that is not read would be taken for the next request: the connection ends with this one.
    const { complete, socket } = request;
    if (!complete && !this.#parts.connections.isExcess(socket) && this.#lingering.mayTake(request)) {
      this.#lingering.take(request, answer.sendEarly(error.status, headers, text));
      return;
    }
    if (!complete) headers.connection = 'close';
    answer.send(error.status, headers, text);
  }
}

/** What came over a connection too many: as under any overload, what only goes on or frees something is served. */
function refuseIfRequest({ method }: IncomingMessage, body: RequestBody | undefined): void {
  if (body ? !awaitsAnswer(body) : method === 'DELETE') return;
  throw new UnusableMessage(TOO_MANY_CONNECTIONS, body?.kind === 'request' ? body.message.id : undefined);
}
