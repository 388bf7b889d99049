// How most TypeScript gateways are built: for each session the SDK's server transport in front of an SDK client, under Express.
// Argument: URL of the backend. Prints its port, ends with its parent.
import { randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, isInitializeRequest, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import express from 'express';

const backend = new URL(process.argv[2]);
const transports = new Map();
const app = express();
app.use(express.json({ limit: '4mb' }));
app.all('/mcp', async (request, response) => {
  const known = transports.get(request.headers['mcp-session-id']);
  if (known) await known.handleRequest(request, response, request.body);
  else if (request.method === 'POST' && isInitializeRequest(request.body)) await open(request, response);
  else response.status(404).json({ jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } });
});

async function open(request, response) {
  const client = new Client({ name: 'naive', version: '1.0.0' });
  const toBackend = new StreamableHTTPClientTransport(backend);
  await client.connect(toBackend);
  const server = new Server({ name: 'naive', version: '1.0.0' }, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, () => client.listTools());
  server.setRequestHandler(CallToolRequestSchema, ({ params }, { sendNotification }) => {
    const progressToken = params._meta?.progressToken;
    const tell = (progress) => sendNotification({ method: 'notifications/progress', params: { ...progress, progressToken } });
    return client.callTool(params, undefined, progressToken === undefined ? undefined : { onprogress: tell });
  });
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => transports.set(id, transport),
    onsessionclosed: async (id) => {
      transports.delete(id);
      await toBackend.terminateSession();
      await client.close();
    },
  });
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
}

const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
server.keepAliveTimeout = 3_600_000;
process.on('disconnect', () => process.exit(0));
