// What test/cluster/slow-readers.test.ts has no time for: clients that never read, that read at their leisure, that sleep at the standalone
// stream or at that of an HTTP+SSE backend, and sessions that end meanwhile.
import { type Cluster, startCluster, whenAllServe } from '../support/cluster.js';
import { getStream, responseOf, toolCall } from '../support/raw-request.js';
import { type SdkSseBackend, startSdkSseBackend } from '../support/sdk-sse-backend.js';
import {
  EVENTS,
  endsBy,
  eventsAsTheyCome,
  openBetween,
  PAD,
  pourCall,
  pourNext,
  readAll,
  readMetric,
  upTo,
  watchMemory,
} from '../support/slow-clients.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/http/mcp';
const SLOW_READER_MS = 2000;
const LONG_MS = 30_000;

let http: StrictBackend;
let sse: SdkSseBackend;
let cluster: Cluster;

beforeAll(async () => {
  http = await StrictBackend.start();
  sse = await startSdkSseBackend();
  const mcpServers = { http: { type: 'http', url: http.url }, legacy: { type: 'sse', url: sse.url } };
  cluster = await startCluster({ config: { mcpServers, limits: { slowReader: `${SLOW_READER_MS}ms` } } });
});
afterAll(async () => {
  await cluster?.dispose();
  await http?.close();
  await sse?.close();
});
beforeEach(() => whenAllServe(cluster));

test('50 MB to a reader that takes its time, but reads: everything, in order', async () => {
  const { sessionId, edge } = await openBetween(cluster, PATH);
  const pouring = pourNext(http);
  const { answer } = await edge.pod.beginAt(edge.pid, pourCall(PATH, sessionId));
  await waitFor('the backend to be held back', () => pouring.isHeldBack);
  const got = await readAll(answer);
  expect(got.hasGap).toBe(false);
  expect(got.progress).toEqual(upTo(1, EVENTS));
  expect(got.final).toBeDefined();
});

test.each(['through a hop', 'at the owner'])(
  'a client that never reads is cut off %s, and nothing of it is left',
  async (where) => {
    const { sessionId, owner, edge, third } = await openBetween(cluster, PATH);
    const checkMemory = watchMemory(cluster);
    const cut = await readMetric(cluster, 'berth_connections_cut_total');
    const pouring = pourNext(http);
    const { pod, pid } = where === 'at the owner' ? owner : edge;
    const { answer } = await pod.beginAt(pid, pourCall(PATH, sessionId));
    await waitFor(
      'its connection to be closed',
      async () => (await readMetric(cluster, 'berth_connections_cut_total')) > cut,
      LONG_MS,
    );
    await waitFor('the backend to be read to the end', () => pouring.isDone, LONG_MS);
    expect(await readMetric(cluster, 'berth_streams')).toBe(0);
    checkMemory();
    // What had left us arrives, and then no clean end, which would say that it was all.
    await expect(readAll(answer)).rejects.toThrow('aborted');
    expect(responseOf(await third.pod.sendTo(third.pid, toolCall(PATH, sessionId, 'echo', { text: 'on' })))).toMatchObject({
      result: { content: [{ text: 'on' }] },
    });
  },
);

test('a large JSON answer that nobody reads is cut off, and the backend gets its connection back', async () => {
  const { sessionId, edge } = await openBetween(cluster, PATH);
  const cut = await readMetric(cluster, 'berth_connections_cut_total');
  const text = 'y'.repeat(30_000_000);
  let isRead = false;
  http.once('tools/call', (request, response, backend) => {
    response.on('finish', () => {
      isRead = true;
    });
    backend.reply(request, response, { content: [{ type: 'text', text }] });
  });
  const { answer } = await edge.pod.beginAt(edge.pid, toolCall(PATH, sessionId, 'echo'));
  expect(answer.headers['content-type']).toBe('application/json');
  await waitFor(
    'its connection to be closed',
    async () => (await readMetric(cluster, 'berth_connections_cut_total')) > cut,
    LONG_MS,
  );
  await waitFor('the answer to be read to its end', () => isRead, LONG_MS);
  answer.destroy();
});

test('a standalone stream that nobody reads ends in order; who comes again is told of the gap', async () => {
  const { sessionId, edge, third } = await openBetween(cluster, PATH);
  const checkMemory = watchMemory(cluster);
  const ends = endsBy(cluster, 'slow').length;
  const { answer } = await edge.pod.beginAt(edge.pid, getStream(PATH, sessionId));
  const backendSession = http.issued.at(-1) as string;
  await waitFor('the gateway to listen at the backend', () => http.streams.has(backendSession));
  // One that gave ids would be asked for what was missed, and keeps no log.
  http.streams.givesIds = false;
  const say = (data: string) =>
    http.streams.push({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } }, backendSession);
  for (let n = 0; n < EVENTS; n++) say(`${n} ${PAD}`);
  await waitFor('the end of the stream', () => endsBy(cluster, 'slow').length > ends, LONG_MS);
  checkMemory();
  const quick = await edge.pod.sendTo(edge.pid, toolCall(PATH, sessionId, 'echo', { text: 'on' }));
  expect(responseOf(quick)).toMatchObject({ result: { content: [{ text: 'on' }] } });
  const got = await readAll(answer);
  expect(got.messages.length).toBeGreaterThan(0);
  expect(got.messages.map(({ params }) => Number.parseInt(params.data, 10))).toEqual(upTo(0, got.messages.length - 1));

  // As a client does: what is still to come may be more than it can follow, and then it comes again.
  let lastId = got.lastId;
  let hasGap = false;
  let hasHeard = false;
  await waitFor('the backend to be read to the end', () => http.streams.waiting === 0, LONG_MS);
  say('after the flood');
  const deadlineMs = performance.now() + LONG_MS;
  const comeAgain = async () => {
    const { call, answer: next } = await third.pod.beginAt(third.pid, getStream(PATH, sessionId, lastId));
    for await (const { id, data } of eventsAsTheyCome(next, deadlineMs)) {
      lastId = id ?? lastId;
      hasGap ||= data.includes('"gap":true');
      hasHeard ||= data.includes('after the flood');
      if (hasHeard) break;
    }
    call.destroy();
    return hasHeard;
  };
  await waitFor(() => `what was said last to session ${sessionId.slice(0, 4)}; last id ${lastId}`, comeAgain, LONG_MS);
  expect(hasGap).toBe(true);
  await waitFor('no stream to be counted', async () => (await readMetric(cluster, 'berth_streams')) === 0);
});

test('a caller of an HTTP+SSE backend that does not read holds up no other call, and gets its answer later', async () => {
  const path = '/servers/legacy/mcp';
  const { sessionId, edge, third } = await openBetween(cluster, path, 'counter');
  const checkMemory = watchMemory(cluster);
  const poured = pourCall(path, sessionId, 'pour', { nonce: 'once', events: EVENTS, bytes: PAD.length });
  const { answer } = await edge.pod.beginAt(edge.pid, poured);
  for (let n = 2; n < 7; n++) {
    const other = responseOf(await edge.pod.sendTo(edge.pid, toolCall(path, sessionId, 'counter', {}, n)));
    expect(other).toMatchObject({ id: n, result: { content: [{ text: String(n) }] } });
  }
  const got = await readAll(answer);
  expect(got.progress.length).toBeGreaterThan(0);
  expect(got.progress).toEqual(upTo(1, got.progress.length));
  const rest = await readAll((await third.pod.beginAt(third.pid, getStream(path, sessionId, got.lastId))).answer);
  expect(rest.hasGap).toBe(true);
  expect(rest.final).toMatchObject({ result: { content: [{ text: 'once:poured' }] } });
  checkMemory();
});

test('DELETE is answered at once while a client does not read, and ends its stream', async () => {
  const { sessionId, edge, third } = await openBetween(cluster, PATH);
  const pouring = pourNext(http);
  const { answer } = await edge.pod.beginAt(edge.pid, pourCall(PATH, sessionId));
  await waitFor('the backend to be held back', () => pouring.isHeldBack);
  const begun = performance.now();
  const headers = { 'mcp-session-id': sessionId };
  expect((await third.pod.sendTo(third.pid, { method: 'DELETE', path: PATH, headers })).status).toBe(202);
  expect(performance.now() - begun).toBeLessThan(SLOW_READER_MS / 2);
  const got = await readAll(answer);
  expect(got.progress.length).toBeGreaterThan(0);
  expect(got.progress).toEqual(upTo(1, got.progress.length));
  expect(got.final).toMatchObject({ error: { code: -32001 } });
});

test('a pod with a client that does not read stops in time', async () => {
  const { sessionId, edge } = await openBetween(cluster, PATH);
  const pouring = pourNext(http);
  const { answer } = await edge.pod.beginAt(edge.pid, pourCall(PATH, sessionId));
  answer.on('error', () => undefined);
  await waitFor('the backend to be held back', () => pouring.isHeldBack);
  expect(await edge.pod.stop('SIGTERM', LONG_MS)).toEqual({ code: 0, signal: null });
  answer.destroy();
});
