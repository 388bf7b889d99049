// The bench's backend: a plain node:http MCP server, as cheap as it can be. Every result carries the tag of its backend session and
// the nonce of its call, so that the load can tell a crossed or repeated answer. Prints its port, ends with its parent.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

const RESULT_BYTES = 1024;
const tags = new Map();

const json = { 'content-type': 'application/json' };
const reply = (outgoing, status, headers, message) => {
  const text = message === undefined ? '' : JSON.stringify(message);
  outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) });
  outgoing.end(text);
};

const results = {
  ping: () => ({}),
  'tools/list': () => ({ tools: [{ name: 'bench', description: 'Gives tag and nonce back', inputSchema: { type: 'object' } }] }),
  'tools/call': (params, tag) => {
    const text = `${tag} ${params.arguments.nonce} `;
    return { content: [{ type: 'text', text: text.padEnd(RESULT_BYTES - 80, 'x') }] };
  },
};

function answer(incoming, outgoing, text) {
  const { id, method, params } = JSON.parse(text);
  if (method === 'initialize') {
    const session = randomBytes(16).toString('hex');
    tags.set(session, randomBytes(8).toString('hex'));
    const result = {
      protocolVersion: params.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: 'bench-backend', version: '1.0.0' },
    };
    reply(outgoing, 200, { ...json, 'mcp-session-id': session }, { jsonrpc: '2.0', id, result });
    return;
  }
  const tag = tags.get(incoming.headers['mcp-session-id']);
  if (tag === undefined) {
    reply(outgoing, 404, json, { jsonrpc: '2.0', id: id ?? null, error: { code: -32001, message: 'Session not found' } });
  } else if (id === undefined) {
    reply(outgoing, 202, {}, undefined);
  } else if (results[method]) {
    reply(outgoing, 200, json, { jsonrpc: '2.0', id, result: results[method](params, tag) });
  } else {
    reply(outgoing, 200, json, { jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } });
  }
}

const server = createServer({ keepAliveTimeout: 120_000 }, (incoming, outgoing) => {
  if (incoming.method === 'DELETE') {
    tags.delete(incoming.headers['mcp-session-id']);
    reply(outgoing, 200, {}, undefined);
    return;
  }
  if (incoming.method !== 'POST') {
    reply(outgoing, 405, { allow: 'POST, DELETE' }, undefined);
    return;
  }
  const chunks = [];
  incoming.on('data', (chunk) => chunks.push(chunk));
  incoming.on('end', () => answer(incoming, outgoing, Buffer.concat(chunks).toString('utf8')));
});
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
