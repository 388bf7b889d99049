// A real HTTP+SSE MCP server (SSEServerTransport of the SDK) with the tools of the other test backends, which writes down what reached
// it. It runs in the process of the test, so that its records survive whatever the test kills.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { registerTools } from './fixtures/tools.cjs';

export interface SdkSseBackend {
  readonly url: string;
  /** Every call that began, with the id of its backend session. */
  readonly calls: ReadonlyArray<{ readonly sessionId: string; readonly tool: string; readonly nonce: string }>;
  /** Ids of the streams that were opened, in order. */
  readonly issued: readonly string[];
  /** Of streams that are open. */
  readonly open: ReadonlySet<string>;
  /** Every method that arrived at the stream's URL or at that of POST. */
  readonly methods: readonly string[];
  /** The server ends its streams, as at a restart. */
  endStreams(): Promise<void>;
  /** Forgets its sessions but keeps their streams open. */
  forgetSessions(): void;
  sendToolListChanged(): void;
  close(): Promise<void>;
}

export async function startSdkSseBackend(): Promise<SdkSseBackend> {
  const calls: Array<{ sessionId: string; tool: string; nonce: string }> = [];
  const issued: string[] = [];
  const methods: string[] = [];
  const sessions = new Map<string, { server: McpServer; transport: SSEServerTransport }>();
  const open = new Set<string>();

  const openStream = async (outgoing: ServerResponse) => {
    const transport = new SSEServerTransport('/messages', outgoing);
    const { sessionId } = transport;
    const server = new McpServer(
      { name: 'sse-fixture', version: '1.0.0' },
      { capabilities: { logging: {}, tools: { listChanged: true } } },
    );
    registerTools(server, {
      session: () => sessionId,
      onCall: (tool, nonce) => calls.push({ sessionId, tool, nonce }),
      gate: async () => undefined,
    });
    issued.push(sessionId);
    open.add(sessionId);
    sessions.set(sessionId, { server, transport });
    outgoing.on('close', () => {
      open.delete(sessionId);
      sessions.delete(sessionId);
    });
    await server.connect(transport);
  };

  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    methods.push(incoming.method ?? '');
    const url = new URL(incoming.url ?? '/', 'http://localhost');
    if (incoming.method === 'GET' && url.pathname === '/sse') return openStream(outgoing);
    const session = sessions.get(url.searchParams.get('sessionId') ?? '');
    if (incoming.method === 'POST' && url.pathname === '/messages' && session) {
      return session.transport.handlePostMessage(incoming, outgoing);
    }
    // As the SDK's own example answers.
    outgoing.writeHead(url.pathname === '/messages' ? 400 : 404).end('No transport found for sessionId');
  };

  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`,
    calls,
    issued,
    open,
    methods,
    async endStreams() {
      await Promise.all([...sessions.values()].map((one) => one.server.close()));
    },
    forgetSessions: () => sessions.clear(),
    sendToolListChanged() {
      for (const one of sessions.values()) one.server.sendToolListChanged();
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
