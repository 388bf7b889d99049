// What an idle GET stream costs in memory, with and without a stream of the backend behind it, and whether comments keep it open: clients
// behind a proxy that cuts what is silent for 20 s, as balancers do after a minute. The workers keep their sessions in all three figures.
// Run: npm run measure:idle-streams [-- --streams 2000 --workers 2]
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { HttpConnection } from '../bench/http-connection.mjs';
import { startPod } from '../bench/pod.mjs';
import { rssBytes } from '../bench/proc.mjs';
import { coreOf, Processes } from '../bench/processes.mjs';

const { values } = parseArgs({
  options: { streams: { type: 'string', default: '2000' }, workers: { type: 'string', default: '2' } },
});
const STREAMS = Number(values.streams);
const SILENT_MS = 20_000;
/** More than two comments. */
const WATCH_MS = 40_000;
const HEADERS = 'content-type: application/json\r\naccept: application/json, text/event-stream\r\n';
const print = (text) => process.stdout.write(`${text}\n`);
const rest = (ms) => new Promise((wake) => setTimeout(wake, ms));
const call = (method, params) => JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });

/** Answers initialize and calls; a GET stream says nothing, ever. */
async function startBackend() {
  const server = createHttpServer(async (request, response) => {
    if (request.method === 'GET') return void response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    let body = '';
    for await (const part of request) body += part;
    const message = body === '' ? {} : JSON.parse(body);
    if (message.id === undefined) return void response.writeHead(202).end();
    const result = {
      initialize: {
        protocolVersion: message.params?.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: 'b', version: '1' },
      },
      'tools/list': { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] },
    }[message.method] ?? { content: [] };
    response.setHeader('content-type', 'application/json');
    if (message.method === 'initialize') response.setHeader('mcp-session-id', randomUUID());
    response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** Cuts a connection on which nothing came from the gateway for SILENT_MS. */
async function startProxy(to) {
  const server = createServer((client) => {
    const gateway = connect(to.port, to.host);
    gateway.setTimeout(SILENT_MS, () => gateway.destroy());
    for (const socket of [client, gateway]) socket.on('error', () => undefined);
    client.pipe(gateway).pipe(client);
    gateway.on('close', () => client.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function openStream(port, id) {
  const stream = { isOpen: true, comments: 0 };
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.on('close', () => {
    stream.isOpen = false;
  });
  socket.setEncoding('latin1').on('data', (part) => {
    stream.comments += part.split(': keep-alive').length - 1;
  });
  socket.write(`GET /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\nmcp-session-id: ${id}\r\n\r\n`);
  return { stream, socket };
}

const dir = mkdtempSync(join(tmpdir(), 'berth-measure-'));
const processes = new Processes();
const open = [];
let backend;
let proxy;
try {
  backend = await startBackend();
  const pod = await startPod({
    processes,
    core: coreOf(undefined),
    dir,
    host: '127.0.0.1',
    config: {
      workers: Number(values.workers),
      sessions: { max: 2 * STREAMS, releaseAfter: '0s' },
      mcpServers: { quiet: { type: 'http', url: `http://127.0.0.1:${backend.address().port}/mcp` } },
    },
  });
  await pod.ready();
  proxy = await startProxy(pod);
  const memory = () => pod.workers().reduce((sum, pid) => sum + rssBytes(pid), 0);
  const connections = Array.from({ length: 8 }, () => new HttpConnection(pod.host, pod.port));
  await Promise.all(connections.map((connection) => connection.opened()));
  const ids = [];
  const perConnection = (work) =>
    Promise.all(
      connections.map(async (connection, n) => {
        for (let at = n; at < STREAMS; at += connections.length) await work(connection, at);
      }),
    );
  await perConnection(async (connection, at) => {
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'measure', version: '1' } };
    ids[at] = (await connection.send('POST', '/mcp', HEADERS, call('initialize', params))).sessionId;
  });
  const readings = [['with its session', memory()]];
  for (const id of ids) open.push(openStream(proxy.address().port, id));
  await rest(5000);
  readings.push(['and a GET stream', memory()]);
  await perConnection((connection, at) =>
    connection.send('POST', '/mcp', `${HEADERS}mcp-session-id: ${ids[at]}\r\n`, call('tools/call', { name: 'echo' })),
  );
  await rest(WATCH_MS);
  readings.push(['and a stream of the backend', memory()]);
  print(`node ${process.version}, load ${loadavg()[0].toFixed(1)}, ${values.workers} workers, ${STREAMS} streams\n`);
  print('| memory of the workers | MiB | KiB a stream more |\n|---|---|---|');
  for (const [n, [what, bytes]] of readings.entries()) {
    const more = n === 0 ? '' : ((bytes - readings[n - 1][1]) / STREAMS / 1024).toFixed(1);
    print(`| ${what} | ${(bytes / 2 ** 20).toFixed(0)} | ${more} |`);
  }
  const kept = open.filter(({ stream }) => stream.isOpen && stream.comments >= 2).length;
  print(
    `\nopen after ${(WATCH_MS + 5000) / 1000} s behind a proxy that cuts after ${SILENT_MS / 1000} s of silence: ${kept} of ${STREAMS}`,
  );
  if (kept < STREAMS) process.exitCode = 1;
  for (const connection of connections) connection.close();
} finally {
  for (const { socket } of open) socket.destroy();
  await processes.stop();
  proxy?.close();
  backend?.closeAllConnections();
  backend?.close();
  rmSync(dir, { recursive: true, force: true });
}
