// The recording HTTP backend: a strict MCP server that issues its own session ids, never forgets one by itself, and counts every
// execution by its nonce. It outlives every fault, so what it wrote down is the truth about what ran. A process of its own; sends
// its port when it listens, answers `{ ask: 'record' }`, ends with its parent.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { runTool, TOOLS } from './tools.mjs';

const EVENT_EVERY_MS = 500;
const sessions = new Map();
const runs = new Map();
/** What no backend should ever see of a well-behaved client. */
const breaches = [];

const json = { 'content-type': 'application/json' };
const events = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };
const breach = (what, session) => breaches.push({ what, session: session?.tag, at: Date.now() });

function reply(outgoing, status, headers, message) {
  const text = message === undefined ? '' : JSON.stringify(message);
  outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) });
  outgoing.end(text);
}

function open(outgoing, { id, params }, incoming) {
  if (incoming.headers['mcp-session-id'] !== undefined) breach('initialize carried a session id');
  const issued = randomBytes(16).toString('hex');
  const tag = randomBytes(6).toString('hex');
  sessions.set(issued, { tag, count: 0, seq: 0, isReady: false, used: 0, ended: 0 });
  const serverInfo = { name: 'chaos-backend', version: '1.0.0' };
  const result = { protocolVersion: params.protocolVersion, capabilities: { tools: {}, logging: {} }, serverInfo };
  reply(outgoing, 200, { ...json, 'mcp-session-id': issued }, { jsonrpc: '2.0', id, result });
}

/** The session that a request names, or undefined: then it is answered. */
function sessionOf(incoming, outgoing, id = null) {
  const session = sessions.get(incoming.headers['mcp-session-id']);
  if (session && session.ended === 0) return session;
  // A teardown whose worker died before it had heard the answer is run again: that is right, and harmless.
  const isRepeatedEnd = session !== undefined && incoming.method === 'DELETE';
  const what = session ? 'after the end of the session' : 'with an id that was never issued';
  if (!isRepeatedEnd) breach(`${incoming.method} ${what}`, session);
  reply(outgoing, 404, json, { jsonrpc: '2.0', id, error: { code: -32001, message: 'Session not found' } });
  return undefined;
}

async function post(incoming, outgoing, text) {
  const { id, method, params } = JSON.parse(text);
  if (method === 'initialize') return open(outgoing, { id, params }, incoming);
  const session = sessionOf(incoming, outgoing, id);
  if (!session) return;
  session.used += 1;
  if (id === undefined) {
    if (method === 'notifications/initialized') session.isReady = true;
    return reply(outgoing, 202, {});
  }
  if (method === 'tools/call') return call(outgoing, id, params, session);
  if (method === 'tools/list') return reply(outgoing, 200, json, { jsonrpc: '2.0', id, result: { tools: TOOLS } });
  if (method === 'ping') return reply(outgoing, 200, json, { jsonrpc: '2.0', id, result: {} });
  reply(outgoing, 200, json, { jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } });
}

async function call(outgoing, id, params, session) {
  if (!session.isReady) breach('a call before notifications/initialized', session);
  const { nonce } = params.arguments;
  runs.set(nonce, (runs.get(nonce) ?? 0) + 1);
  const send = (message) => outgoing.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
  const isStream = params.name === 'progress';
  if (isStream) outgoing.writeHead(200, events);
  const said = await runTool(params, session, (method, what) => send({ method, params: what }));
  const message = { id, result: { content: [{ type: 'text', text: said }] } };
  if (!isStream) return reply(outgoing, 200, json, { jsonrpc: '2.0', ...message });
  send(message);
  outgoing.end();
}

/** Says the tag of its session twice a second: what arrives on another session's stream is a crossing. */
function listen(incoming, outgoing) {
  const session = sessionOf(incoming, outgoing);
  if (!session) return;
  outgoing.writeHead(200, events);
  outgoing.write(': listening\n\n');
  const timer = setInterval(() => {
    if (session.ended > 0) return outgoing.end();
    session.seq += 1;
    const params = { level: 'info', data: { tag: session.tag, seq: session.seq } };
    outgoing.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params })}\n\n`);
  }, EVENT_EVERY_MS);
  outgoing.on('close', () => clearInterval(timer));
}

function end(incoming, outgoing) {
  const session = sessionOf(incoming, outgoing);
  if (!session) return;
  session.ended += 1;
  reply(outgoing, 200, {});
}

const server = createServer({ keepAliveTimeout: 120_000 }, (incoming, outgoing) => {
  if (incoming.method === 'GET') return listen(incoming, outgoing);
  if (incoming.method === 'DELETE') return end(incoming, outgoing);
  const chunks = [];
  incoming.on('data', (chunk) => chunks.push(chunk));
  incoming.on('end', () => void post(incoming, outgoing, Buffer.concat(chunks).toString('utf8')));
});

process.on('message', ({ ask }) => {
  if (ask === 'open') process.send({ open: [...sessions.values()].filter(({ ended }) => ended === 0).length });
  if (ask === 'record') process.send({ runs: [...runs], sessions: [...sessions.values()], breaches });
});
process.on('disconnect', () => process.exit(0));
// A Ctrl-C is for whoever started us: the teardown still needs us.
process.on('SIGINT', () => undefined);
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
