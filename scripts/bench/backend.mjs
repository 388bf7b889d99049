// The bench's backend: a plain node:http MCP server, as cheap as it can be. Every result carries the tag of its backend session and
// the nonce of its call, so that the load can tell a crossed or repeated answer. `/mcp` offers no GET stream, `/streams/mcp` does.
// Prints its port, ends with its parent.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { BIG_BYTES, EVENTS, progressFor, RESULT_BYTES, textFor } from './calls.mjs';

/** Of each call, ms: a slow tool. */
const delayMs = Number(process.argv[2] ?? 0);
const tags = new Map();

const json = { 'content-type': 'application/json' };
const events = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };
const event = (message) => `event: message\ndata: ${JSON.stringify(message)}\n\n`;
const reply = (outgoing, status, headers, message) => {
  const text = message === undefined ? '' : JSON.stringify(message);
  outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) });
  outgoing.end(text);
};
const contentOf = (tag, nonce, bytes) => ({ content: [{ type: 'text', text: textFor(tag, nonce, bytes) }] });
const tool = (name) => ({ name, description: 'Gives tag and nonce back', inputSchema: { type: 'object' } });

const results = {
  ping: () => ({}),
  'tools/list': () => ({ tools: ['bench', 'big', 'events'].map(tool) }),
  'tools/call': ({ name, arguments: { nonce } }, tag) => contentOf(tag, nonce, name === 'big' ? BIG_BYTES : RESULT_BYTES),
};

/** Each event in a turn of its own, as a tool that reports while it works. */
function stream(outgoing, id, params, tag) {
  const { nonce } = params.arguments;
  const token = params._meta.progressToken;
  outgoing.writeHead(200, events);
  let index = 0;
  const next = () => {
    if (index < EVENTS) {
      outgoing.write(event(progressFor(tag, nonce, index++, token)));
      setImmediate(next);
    } else outgoing.end(event({ jsonrpc: '2.0', id, result: contentOf(tag, nonce, RESULT_BYTES) }));
  };
  next();
}

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
  } else if (method === 'tools/call' && params.name === 'events') {
    stream(outgoing, id, params, tag);
  } else if (results[method]) {
    const send = () => reply(outgoing, 200, json, { jsonrpc: '2.0', id, result: results[method](params, tag) });
    if (delayMs > 0 && method === 'tools/call') setTimeout(send, delayMs);
    else send();
  } else {
    reply(outgoing, 200, json, { jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } });
  }
}

const server = createServer({ keepAliveTimeout: 3_600_000 }, (incoming, outgoing) => {
  if (incoming.method === 'DELETE') {
    tags.delete(incoming.headers['mcp-session-id']);
    reply(outgoing, 200, {}, undefined);
    return;
  }
  if (incoming.method === 'GET' && incoming.url.startsWith('/streams')) {
    outgoing.writeHead(200, events).flushHeaders();
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
