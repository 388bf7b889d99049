// A backend whose streams say nothing until they are told to: remembers the tag of each session from its first call, and on `{ mark }`
// tells every open stream its tag and the mark. Sends its port, answers `{ ask: 'open' }`, ends with its parent.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

const tags = new Map();
const streams = new Map();
const events = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };

function listen(session, response) {
  response.writeHead(200, events).flushHeaders();
  streams.set(session, response);
  response.on('close', () => {
    if (streams.get(session) === response) streams.delete(session);
  });
}

function answer(session, message, response) {
  if (message.id === undefined) return void response.writeHead(202).end();
  const { arguments: args } = message.params ?? {};
  if (args?.tag) tags.set(session, args.tag);
  const result = {
    initialize: {
      protocolVersion: message.params?.protocolVersion,
      capabilities: { tools: {}, logging: {} },
      serverInfo: { name: 'idle-backend', version: '1' },
    },
    'tools/list': { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] },
  }[message.method] ?? { content: [{ type: 'text', text: tags.get(session) }] };
  response.setHeader('content-type', 'application/json');
  if (message.method === 'initialize') response.setHeader('mcp-session-id', randomUUID());
  response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
}

const server = createServer({ keepAliveTimeout: 3_600_000 }, async (request, response) => {
  const session = request.headers['mcp-session-id'];
  if (request.method === 'GET') return listen(session, response);
  if (request.method === 'DELETE') {
    streams.get(session)?.end();
    return void response.writeHead(200).end();
  }
  let body = '';
  for await (const part of request) body += part;
  answer(session, JSON.parse(body), response);
});

process.on('message', ({ ask, mark }) => {
  if (ask === 'open') process.send({ open: streams.size });
  for (const [session, response] of mark === undefined ? [] : streams) {
    const params = { level: 'info', data: { mark, tag: tags.get(session) } };
    response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params })}\n\n`);
  }
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => process.send({ port: server.address().port }));
