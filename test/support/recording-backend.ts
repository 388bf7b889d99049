// A real Streamable HTTP MCP server (SDK v1) that writes down what reached it: the judge of "exactly once". It runs in the
// process of the test, so that its records survive whatever the test kills.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { type EventStore, StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CAPABILITIES, type Features, registerFeatures } from './fixtures/features.cjs';
import { registerTools } from './fixtures/tools.cjs';
import type { Endpoint } from './processes.js';

export interface RecordedRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly sessionId: string | undefined;
  /** JSON-RPC method of a POST. */
  readonly rpcMethod: string | undefined;
  /** `params` of a POST, as they arrived. */
  readonly params: unknown;
}

export interface RecordedCall {
  readonly sessionId: string;
  readonly tool: string;
  readonly nonce: string;
}

export interface RecordingBackendOptions {
  /** Answers as JSON instead of SSE. */
  readonly json?: boolean;
  /**
   * What an unknown session gets: 404 by the specification (default), the 400 of most servers in the field, or `text`: the 400 of the
   * Python SDK, which is no JSON.
   */
  readonly lostSession?: 404 | 400 | 'text';
  /** Events get ids by it, and can be replayed; made for each session. Default: none have ids. */
  readonly eventStore?: () => EventStore;
  /** The status of every GET that wants to go on behind an event. */
  readonly refuseResume?: number;
  /** False: 401 for this request, which is recorded all the same. */
  readonly authorize?: (request: RecordedRequest) => boolean;
  /** With resources (`remote://watched`, which can be subscribed to), prompts, completion and a call that hangs (features.cjs). */
  readonly features?: boolean;
}

export interface RecordingBackend {
  readonly url: string;
  readonly requests: readonly RecordedRequest[];
  readonly calls: readonly RecordedCall[];
  /** Session ids issued, in order: one per initialize. */
  readonly issued: readonly string[];
  /** Sessions that hold a standalone stream open. */
  readonly listening: Pick<ReadonlySet<string>, 'has' | 'size'>;
  requestsOf(method: string, rpcMethod?: string): RecordedRequest[];
  /** Told of every new connection while it is still open: who is at its other end? */
  onConnection: ((peer: Endpoint, self: Endpoint) => void) | undefined;
  /** Simulates a restart: every session is unknown from now on. */
  forgetSessions(): void;
  /** Requests that `matches` names are recorded and not answered, until `release`. */
  hang(matches: (request: RecordedRequest) => boolean): { readonly release: () => void };
  /** `emit` waits before each step after the first, and before its result, for one `step()`. */
  holdSteps(): { readonly step: () => void };
  /** On the standalone stream of each session. */
  sendToolListChanged(): void;
  sendLog(data: unknown): Promise<void>;
  /** Of features: what it was told, `<kind> <what>`. */
  readonly events: readonly string[];
  /** A resource changes, in each session that subscribed to it. */
  touch(uri: string): void;
  /** Each session has a tool and a prompt more, and is told so. */
  add(): void;
  close(): Promise<void>;
}

interface Live {
  readonly features: Features | undefined;
  readonly server: McpServer;
  readonly transport: StreamableHTTPServerTransport;
}

export async function startRecordingBackend(options: RecordingBackendOptions = {}): Promise<RecordingBackend> {
  const requests: RecordedRequest[] = [];
  const calls: RecordedCall[] = [];
  const issued: string[] = [];
  const events: string[] = [];
  const listening = new Map<string, Set<ServerResponse>>();
  const sessions = new Map<string, Live>();
  const hung = new Set<{ matches: (request: RecordedRequest) => boolean; waiting: Array<() => void> }>();
  let gate: (() => Promise<void>) | undefined;

  const open = async (): Promise<Live> => {
    const server = new McpServer(
      { name: 'recording-backend', version: '1.0.0' },
      {
        capabilities: {
          logging: {},
          tools: { listChanged: true },
          ...(options.features && CAPABILITIES),
        },
      },
    );
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse: options.json ?? false,
      ...(options.eventStore && { eventStore: options.eventStore() }),
      onsessioninitialized: (id) => {
        issued.push(id);
        sessions.set(id, live);
      },
      onsessionclosed: (id) => void sessions.delete(id),
    });
    const onEvent = (kind: string, what: string) => void events.push(`${kind} ${what}`);
    const features = options.features ? registerFeatures(server, { scheme: 'remote', onEvent }) : undefined;
    const live: Live = { server, transport, features };
    const session = () => transport.sessionId ?? '';
    registerTools(server, {
      session,
      onCall: (tool, nonce) => calls.push({ sessionId: session(), tool, nonce }),
      gate: async () => gate?.(),
    });
    await server.connect(transport);
    return live;
  };

  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const text = await readBody(incoming);
    const message = text ? (JSON.parse(text) as { method?: string; params?: unknown; id?: unknown }) : undefined;
    const sessionId = incoming.headers['mcp-session-id'] as string | undefined;
    const recorded: RecordedRequest = {
      method: incoming.method ?? '',
      headers: incoming.headers,
      sessionId,
      rpcMethod: message?.method,
      params: message?.params,
    };
    requests.push(recorded);
    for (const entry of hung) {
      if (entry.matches(recorded)) await new Promise<void>((wake) => entry.waiting.push(wake));
    }
    if (outgoing.destroyed) return;
    if (options.authorize?.(recorded) === false) {
      outgoing.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
      return;
    }
    const live = sessionId === undefined && message?.method === 'initialize' ? await open() : sessions.get(sessionId ?? '');
    if (live === undefined) {
      refuseUnknown(outgoing, options.lostSession ?? 404, sessionId);
      return;
    }
    if (options.refuseResume !== undefined && incoming.headers['last-event-id'] !== undefined) {
      outgoing.writeHead(options.refuseResume).end();
      return;
    }
    if (incoming.method === 'GET' && sessionId !== undefined) {
      // A stream and a second one that is refused beside it: the session listens until the last is gone.
      const streams = listening.get(sessionId) ?? new Set();
      listening.set(sessionId, streams.add(outgoing));
      outgoing.on('close', () => {
        if (streams.delete(outgoing) && streams.size === 0 && listening.get(sessionId) === streams) listening.delete(sessionId);
      });
    }
    await live.transport.handleRequest(incoming, outgoing, message);
  };

  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch((error: unknown) => {
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(500).end(String(error));
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));

  const backend: RecordingBackend = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    requests,
    calls,
    issued,
    listening,
    onConnection: undefined,
    requestsOf: (method, rpcMethod) =>
      requests.filter((one) => one.method === method && (rpcMethod === undefined || one.rpcMethod === rpcMethod)),
    forgetSessions() {
      for (const { transport } of sessions.values()) void transport.close();
      sessions.clear();
    },
    hang(matches) {
      const entry = { matches, waiting: [] as Array<() => void> };
      hung.add(entry);
      return {
        release() {
          hung.delete(entry);
          for (const wake of entry.waiting.splice(0)) wake();
        },
      };
    },
    holdSteps() {
      let allowed = 0;
      const waiting: Array<() => void> = [];
      gate = () =>
        new Promise((go) => {
          if (allowed > 0) {
            allowed -= 1;
            go();
          } else waiting.push(go);
        });
      return {
        step() {
          const go = waiting.shift();
          if (go) go();
          else allowed += 1;
        },
      };
    },
    sendToolListChanged() {
      for (const live of sessions.values()) live.server.sendToolListChanged();
    },
    events,
    touch(uri) {
      for (const live of sessions.values()) void live.features?.touch(uri);
    },
    add() {
      for (const live of sessions.values()) live.features?.add();
    },
    async sendLog(data) {
      await Promise.all([...sessions.values()].map((live) => live.server.server.sendLoggingMessage({ level: 'warning', data })));
    },
    async close() {
      for (const entry of hung) for (const wake of entry.waiting.splice(0)) wake();
      await Promise.all([...sessions.values()].map((live) => live.transport.close()));
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
  server.on('connection', (socket) => {
    const peer = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    const self = { address: socket.localAddress ?? '', port: socket.localPort ?? 0 };
    backend.onConnection?.(peer, self);
  });
  return backend;
}

function refuseUnknown(
  outgoing: ServerResponse,
  how: NonNullable<RecordingBackendOptions['lostSession']>,
  sessionId: string | undefined,
): void {
  const noValidId = 'Bad Request: No valid session ID provided';
  if (sessionId !== undefined && how === 'text') {
    outgoing.writeHead(400, { 'content-type': 'text/plain; charset=utf-8' }).end(noValidId);
    return;
  }
  const missing = sessionId === undefined;
  const error = missing
    ? { code: -32000, message: 'Bad Request: Mcp-Session-Id header is required' }
    : how === 404
      ? { code: -32001, message: 'Session not found' }
      : { code: -32000, message: noValidId };
  outgoing.writeHead(missing || how !== 404 ? 400 : 404, { 'content-type': 'application/json' });
  outgoing.end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
