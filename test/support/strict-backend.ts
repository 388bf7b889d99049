// A strict, recording Streamable HTTP MCP server on a real socket. It refuses what the protocol refuses, keeps every request it
// got, and can be told to misbehave: for one request of a method (`once`) or for all (`always`).
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { EventStreams } from './strict-backend-streams.js';
import { runTool } from './strict-backend-tools.js';

export interface RecordedRequest {
  readonly order: number;
  readonly http: 'POST' | 'GET' | 'DELETE' | string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The parsed body, if it was JSON. */
  readonly message: {
    id?: string | number;
    method?: string;
    params?: Record<string, unknown>;
    result?: unknown;
    error?: unknown;
  };
  /** JSON-RPC method, `response` for a posted response, or the HTTP method. */
  readonly what: string;
  readonly sessionId: string | undefined;
  /** The client cut the connection before it had its answer. */
  aborted: boolean;
}

export type Framing = 'lf' | 'crlf' | 'cr' | 'no-space' | 'id-first' | 'id-last' | 'multi-line' | 'primed' | 'comments' | 'bom';

export interface StrictBackendOptions {
  /** Default true: a fresh id per initialize. */
  issueId?: boolean;
  /** Prefix of issued ids. */
  idPrefix?: string;
  /** How requests are answered; default json. */
  reply?: 'json' | 'sse';
  framing?: Framing;
  /** All that it says at a time stands in one array. */
  arrays?: boolean;
  /** What initialize negotiates; default what was asked. */
  protocolVersion?: string;
  capabilities?: Record<string, unknown>;
  tools?: ReadonlyArray<{ name: string; [key: string]: unknown }>;
  /** How an unknown session is answered; default 404 -32001. `sdk`: 400 -32000 "No valid session ID provided". */
  lost?: '404' | 'sdk';
  /** How long it keeps an idle connection, told in a Keep-Alive header in whole seconds; default that of Node, 5 s. */
  keepAliveTimeoutMs?: number;
  /** GET: a stream (default), or 405. */
  get?: 'stream' | '405';
  /** False: 401 for this request. */
  authorize?: (headers: IncomingHttpHeaders) => boolean;
}

export type Handler = (request: RecordedRequest, response: ServerResponse, backend: StrictBackend) => void | Promise<void>;

interface SessionState {
  readonly id: string;
  readonly version: string;
  initialized: boolean;
  count: number;
}

export class StrictBackend {
  readonly requests: RecordedRequest[] = [];
  readonly options: StrictBackendOptions;
  readonly streams = new EventStreams();
  /** Ids ever issued, in order. */
  readonly issued: string[] = [];
  readonly #sessions = new Map<string, SessionState>();
  readonly #once = new Map<string, Handler[]>();
  readonly #always = new Map<string, Handler>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #stateless: SessionState | undefined;

  private constructor(options: StrictBackendOptions) {
    this.options = options;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    if (options.keepAliveTimeoutMs !== undefined) {
      this.#server.keepAliveTimeout = options.keepAliveTimeoutMs;
      // Newer Nodes wait a second longer than they tell.
      Object.assign(this.#server, { keepAliveTimeoutBuffer: 0 });
    }
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(options: StrictBackendOptions = {}, port = 0): Promise<StrictBackend> {
    const backend = new StrictBackend(options);
    await new Promise<void>((resolve) => backend.#server.listen(port, '127.0.0.1', resolve));
    return backend;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/mcp`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** The next request of this kind (JSON-RPC method, `response`, `GET`, `DELETE`) goes to the handler. */
  once(what: string, handler: Handler): this {
    this.#once.set(what, [...(this.#once.get(what) ?? []), handler]);
    return this;
  }

  always(what: string, handler: Handler | undefined): this {
    if (handler) this.#always.set(what, handler);
    else this.#always.delete(what);
    return this;
  }

  /** What arrived of one kind. */
  of(what: string): RecordedRequest[] {
    return this.requests.filter((r) => r.what === what);
  }

  /** Kinds in order of arrival. */
  get sequence(): string[] {
    return this.requests.map((r) => r.what);
  }

  /** All sessions are unknown from now on, as after a restart. */
  forget(): void {
    this.#sessions.clear();
    this.streams.closeAll();
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** The regular answer; for handlers that only watch or wait. */
  answer(request: RecordedRequest, response: ServerResponse): void {
    if (this.options.authorize?.(request.headers) === false) {
      response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
      return;
    }
    const refusal = this.#refusal(request);
    if (refusal) {
      sendError(response, refusal.status, refusal.code, refusal.message, null);
      return;
    }
    if (request.http === 'GET') this.#get(request, response);
    else if (request.http === 'DELETE') {
      this.#sessions.delete(request.sessionId ?? '');
      response.writeHead(200).end();
    } else this.#post(request, response);
  }

  /** Answers a request with a result, framed as configured. */
  reply(request: RecordedRequest, response: ServerResponse, result: unknown, headers: Record<string, string> = {}): void {
    this.send(response, [{ jsonrpc: '2.0', id: request.message.id, result }], headers);
  }

  /** Sends messages; as JSON only if there is one. */
  send(response: ServerResponse, messages: readonly object[], headers: Record<string, string> = {}): void {
    const [first] = messages;
    if (messages.length === 1 && first && (this.options.reply ?? 'json') === 'json') {
      const text = JSON.stringify(this.options.arrays ? [first] : first);
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers });
      response.end(text);
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', ...headers });
    response.end(frameEvents(this.options.arrays ? [messages] : messages, this.options.framing ?? 'lf'));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const request = this.#record(incoming, Buffer.concat(chunks).toString('utf8'));
    response.on('close', () => {
      if (!response.writableFinished) request.aborted = true;
    });
    const handler = this.#once.get(request.what)?.shift() ?? this.#always.get(request.what);
    if (handler) await handler(request, response, this);
    else this.answer(request, response);
  }

  #record(incoming: IncomingMessage, body: string): RecordedRequest {
    let message: RecordedRequest['message'] = {};
    try {
      message = body ? JSON.parse(body) : {};
    } catch {}
    const http = incoming.method ?? '';
    const what = http === 'POST' ? (message.method ?? 'response') : http;
    const sessionId = incoming.headers['mcp-session-id'] as string | undefined;
    const request = {
      order: this.requests.length,
      http,
      headers: incoming.headers,
      body,
      message,
      what,
      sessionId,
      aborted: false,
    };
    this.requests.push(request);
    return request;
  }

  /** What a strict server refuses before it looks at the method. */
  #refusal(request: RecordedRequest): { status: number; code: number; message: string } | undefined {
    const { headers, http, what, sessionId } = request;
    const accept = headers.accept ?? '';
    const wanted = http === 'POST' ? ['application/json', 'text/event-stream'] : http === 'GET' ? ['text/event-stream'] : [];
    if (!wanted.every((type) => accept.includes(type))) return { status: 406, code: -32000, message: 'Not Acceptable' };
    if (http === 'POST' && headers['content-type'] !== 'application/json') {
      return { status: 415, code: -32000, message: 'Unsupported Media Type' };
    }
    if (what === 'initialize') {
      return sessionId === undefined ? undefined : { status: 400, code: -32600, message: 'initialize with a session id' };
    }
    if (this.options.issueId === false) {
      if (sessionId !== undefined) return { status: 400, code: -32600, message: 'a session id that was never issued' };
    } else {
      if (sessionId === undefined)
        return { status: 400, code: -32000, message: 'Bad Request: Mcp-Session-Id header is required' };
      if (!this.#sessions.has(sessionId)) {
        return this.options.lost === 'sdk'
          ? { status: 400, code: -32000, message: 'Bad Request: No valid session ID provided' }
          : { status: 404, code: -32001, message: 'Session not found' };
      }
    }
    const session = this.#sessionOf(request);
    if (headers['mcp-protocol-version'] !== session?.version)
      return { status: 400, code: -32000, message: 'wrong protocol version' };
    return undefined;
  }

  #sessionOf(request: RecordedRequest): SessionState | undefined {
    return request.sessionId === undefined ? this.#stateless : this.#sessions.get(request.sessionId);
  }

  #get(request: RecordedRequest, response: ServerResponse): void {
    if (this.options.get === '405') sendError(response, 405, -32000, 'Method not allowed', null);
    else if (!this.streams.open(request.sessionId ?? '', response)) sendError(response, 409, -32000, 'Conflict', null);
  }

  #post(request: RecordedRequest, response: ServerResponse): void {
    const { message, what } = request;
    if (what === 'initialize') {
      this.#initialize(request, response);
      return;
    }
    const session = this.#sessionOf(request) as SessionState;
    if (message.id === undefined || message.method === undefined) {
      if (what === 'notifications/initialized') session.initialized = true;
      response.writeHead(202).end();
      return;
    }
    if (!session.initialized) {
      sendError(response, 400, -32002, 'not initialized', message.id);
      return;
    }
    if (what === 'ping') this.reply(request, response, {});
    else if (what === 'tools/list')
      this.reply(request, response, { tools: this.options.tools ?? [{ name: 'echo', inputSchema: {} }] });
    else if (what === 'tools/call') runTool(this, request, response, session);
    else this.send(response, [{ jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'Method not found' } }]);
  }

  #initialize(request: RecordedRequest, response: ServerResponse): void {
    const version = this.options.protocolVersion ?? String(request.message.params?.protocolVersion);
    const id = `${this.options.idPrefix ?? 'session'}-${this.issued.length + 1}`;
    const session: SessionState = { id, version, initialized: false, count: 0 };
    const headers: Record<string, string> = {};
    if (this.options.issueId === false) {
      this.#stateless = session;
    } else {
      this.issued.push(id);
      this.#sessions.set(id, session);
      headers['mcp-session-id'] = id;
    }
    const capabilities = this.options.capabilities ?? { tools: {} };
    this.reply(
      request,
      response,
      { protocolVersion: version, capabilities, serverInfo: { name: 'strict', version: '1' }, instructions: 'be strict' },
      headers,
    );
  }
}

/** A JSON-RPC error under any HTTP status. */
export function sendError(
  response: ServerResponse,
  status: number,
  code: number,
  message: string,
  id: unknown,
  data?: unknown,
): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } }));
}

let eventCount = 0;

function frameEvents(messages: readonly object[], framing: Framing): string {
  const end = framing === 'crlf' ? '\r\n' : framing === 'cr' ? '\r' : '\n';
  let text = framing === 'bom' ? '\ufeff' : '';
  if (framing === 'primed') text += `id: prime-${++eventCount}\ndata: \n\n`;
  for (const message of messages) {
    const id = `id: e${++eventCount}${end}`;
    const json = framing === 'multi-line' ? JSON.stringify(message, null, 1) : JSON.stringify(message);
    const field = framing === 'no-space' ? 'data:' : 'data: ';
    const data = json
      .split('\n')
      .map((line) => `${field}${line}${end}`)
      .join('');
    if (framing === 'comments') text += `: a comment${end}`;
    text += `${framing === 'no-space' ? '' : `event: message${end}`}${framing === 'id-first' ? id : ''}${data}`;
    text += `${framing === 'id-last' ? id : ''}${end}`;
  }
  return text;
}
