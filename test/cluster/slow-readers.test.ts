// DESIGN I10 and 6, "Streams": a client that does not read holds up nobody but itself, and nothing of it grows without bound. Its stream ends
// in order, the call runs on, and whoever comes again gets everything or is told of a gap. More of it: test/reliability.
import { join } from 'node:path';
import { type Cluster, startCluster } from '../support/cluster.js';
import { NumberedMessages } from '../support/numbered-messages.js';
import { isAlive } from '../support/processes.js';
import { getStream, responseOf, toolCall } from '../support/raw-request.js';
import {
  EVENTS,
  endsBy,
  eventsAsTheyCome,
  openBetween,
  PAD,
  pourCall,
  pourNext,
  readAll,
  upTo,
  watchMemory,
} from '../support/slow-clients.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

const SLOW_READER_MS = 2000;
/** What the kernel takes on three connections, and what we may hold. */
const MOST_HELD_BYTES = 30 * 1024 * 1024;

let http: StrictBackend;
let cluster: Cluster;

beforeAll(async () => {
  http = await StrictBackend.start();
  const args = [join(__dirname, '../support/fixtures/stdio-backend.mjs')];
  const mcpServers = { http: { type: 'http', url: http.url }, child: { command: process.execPath, args } };
  cluster = await startCluster({ config: { mcpServers, limits: { slowReader: `${SLOW_READER_MS}ms` } } });
});
afterAll(async () => {
  await cluster?.dispose();
  await http?.close();
});

test('50 MB through a hop: the backend is held back, then read on; what was lost is told, and the call ran once', async () => {
  const PATH = '/servers/http/mcp';
  const { sessionId, edge, third } = await openBetween(cluster, PATH);
  const checkMemory = watchMemory(cluster);
  const calls = http.of('tools/call').length;
  const pouring = pourNext(http);
  const { answer } = await edge.pod.beginAt(edge.pid, pourCall(PATH, sessionId));
  await waitFor('the backend to be held back', () => pouring.isHeldBack);
  expect(pouring.written).toBeLessThan(MOST_HELD_BYTES);
  // The same session, at the same owner through the same edge.
  for (let n = 0; n < 5; n++) {
    const begun = performance.now();
    const quick = await edge.pod.sendTo(edge.pid, toolCall(PATH, sessionId, 'echo', { text: 'quick' }, n));
    expect(responseOf(quick)).toMatchObject({ id: n, result: { content: [{ text: 'quick' }] } });
    expect(performance.now() - begun).toBeLessThan(SLOW_READER_MS);
  }

  await waitFor('the end of its stream', () => endsBy(cluster, 'slow').length === 1, 15_000);
  // At once: a connection whose end is not taken either is cut, which a busy machine reaches before the backend is done.
  const [got] = await Promise.all([readAll(answer), waitFor('the backend to be read to the end', () => pouring.isDone, 15_000)]);
  checkMemory();

  expect(got.final).toBeUndefined();
  // It ends in order, with the id and the time to come again with.
  expect(got.lastId).toBeDefined();
  expect(got.retryMs).toBeGreaterThanOrEqual(4000);
  expect(got.progress.length).toBeGreaterThan(0);
  expect(got.progress).toEqual(upTo(1, got.progress.length));
  const rest = await readAll((await third.pod.beginAt(third.pid, getStream(PATH, sessionId, got.lastId))).answer);
  expect(rest.hasGap).toBe(true);
  expect(rest.progress).toEqual(upTo(EVENTS - rest.progress.length + 1, EVENTS));
  expect(rest.final).toMatchObject({ result: { content: [{ text: 'poured' }] } });
  expect(http.of('tools/call').length - calls).toBe(6);
});

test('a caller of a stdio child that does not read holds up no other call, and gets its answer when it comes again', async () => {
  const PATH = '/servers/child/mcp';
  const STEPS = 200;
  const { sessionId, edge, third } = await openBetween(cluster, PATH, 'counter');
  const poured = pourCall(PATH, sessionId, 'pour', { nonce: 'once', events: STEPS, bytes: PAD.length });
  const ends = endsBy(cluster, 'slow').length;
  const { answer } = await edge.pod.beginAt(edge.pid, poured);
  for (let n = 2; n < 7; n++) {
    const begun = performance.now();
    const other = responseOf(await edge.pod.sendTo(edge.pid, toolCall(PATH, sessionId, 'counter', {}, n)));
    expect(other).toMatchObject({ id: n, result: { content: [{ text: String(n) }] } });
    expect(performance.now() - begun).toBeLessThan(SLOW_READER_MS);
  }
  await waitFor('the end of its stream', () => endsBy(cluster, 'slow').length > ends, 15_000);
  const got = await readAll(answer);
  expect(got.progress.length).toBeGreaterThan(0);
  expect(got.progress).toEqual(upTo(1, got.progress.length));
  expect(got.final).toBeUndefined();
  const rest = await readAll((await third.pod.beginAt(third.pid, getStream(PATH, sessionId, got.lastId))).answer);
  expect(rest.hasGap).toBe(true);
  expect(rest.progress).toEqual(upTo(STEPS - rest.progress.length + 1, STEPS));
  expect(rest.final).toMatchObject({ result: { content: [{ text: 'once:poured' }] } });
});

test('a caller that does not read while its owner is killed gets a beginning without holes, then the outcome', async () => {
  const PATH = '/servers/http/mcp';
  const { sessionId, owner, edge, third } = await openBetween(cluster, PATH);
  const poured = () => http.of('tools/call').filter(({ message }) => message.id === 'poured').length;
  const before = poured();
  const pouring = pourNext(http);
  const checkMemory = watchMemory(cluster);
  const { answer } = await edge.pod.beginAt(edge.pid, pourCall(PATH, sessionId));
  await waitFor('the backend to be held back', () => pouring.isHeldBack);
  process.kill(owner.pid, 'SIGKILL');
  await waitFor(`owner ${owner.pid} to be gone`, () => !isAlive(owner.pid));
  // While it still does not read: another caller of the same session, at the next owner.
  const quick = await third.pod.sendTo(third.pid, toolCall(PATH, sessionId, 'echo', { text: 'quick' }, 'quick'));
  expect(responseOf(quick)).toMatchObject({ id: 'quick', result: { content: [{ text: 'quick' }] } });
  checkMemory();
  const got = await readAll(answer);
  expect(got.progress.length).toBeGreaterThan(0);
  expect(got.progress).toEqual(upTo(1, got.progress.length));
  expect(got.final).toMatchObject({ error: { code: -32012 } });
  expect(responseOf(await third.pod.sendTo(third.pid, toolCall(PATH, sessionId, 'echo', { text: 'on' })))).toMatchObject({
    result: { content: [{ text: 'on' }] },
  });
  expect(poured() - before).toBe(1);
});

test('a standalone stream that nobody reads while its owner is killed: bounded, nobody waits, and what is missing is told', async () => {
  const PATH = '/servers/http/mcp';
  const { sessionId, owner, edge, third } = await openBetween(cluster, PATH);
  const issued = http.issued.at(-1) as string;
  const checkMemory = watchMemory(cluster);
  const { answer } = await edge.pod.beginAt(edge.pid, getStream(PATH, sessionId));
  await waitFor('the gateway to listen at the backend', () => http.streams.has(issued));
  // One that gave ids would be asked for what was missed, and keeps no log.
  http.streams.givesIds = false;
  const say = (data: string) =>
    http.streams.push({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } }, issued);
  for (let n = 0; n < EVENTS; n++) say(`${n} ${PAD}`);
  await waitFor('the backend to be read', () => http.streams.waiting < (EVENTS / 2) * PAD.length, 15_000);
  process.kill(owner.pid, 'SIGKILL');
  await waitFor(`owner ${owner.pid} to be gone`, () => !isAlive(owner.pid));
  const quick = await third.pod.sendTo(third.pid, toolCall(PATH, sessionId, 'echo', { text: 'quick' }, 'quick'));
  expect(responseOf(quick)).toMatchObject({ id: 'quick', result: { content: [{ text: 'quick' }] } });
  checkMemory();

  // It reads at last, and comes again as often as it is let go.
  const heard = new NumberedMessages(0);
  /** What was heard last before anything was missing. */
  let beginning: number | undefined;
  let lastId: string | undefined;
  let isOver = false;
  const WITHIN_MS = 20_000;
  const deadlineMs = performance.now() + WITHIN_MS;
  const read = async (stream: typeof answer) => {
    for await (const { id, data } of eventsAsTheyCome(stream, deadlineMs)) {
      lastId = id ?? lastId;
      if (data.includes('"gap":true')) {
        beginning ??= heard.last;
        heard.gap();
      } else if (data !== '' && !data.includes('the end')) heard.hear(Number.parseInt(JSON.parse(data).params.data, 10));
      isOver ||= data.includes('the end');
      if (isOver) break;
    }
  };
  const telling = setInterval(() => say('the end'), 200);
  try {
    await waitFor(
      () =>
        `what was said last to session ${sessionId.slice(0, 4)}, after its owner ${owner.pid} of epoch ${owner.epoch} was killed; ` +
        `heard up to ${heard.last}, ${heard.gapsTold} gaps`,
      async () => {
        const next = lastId === undefined ? undefined : await third.pod.beginAt(third.pid, getStream(PATH, sessionId, lastId));
        await read(next?.answer ?? answer);
        next?.call.destroy();
        return isOver;
      },
      WITHIN_MS,
    );
  } finally {
    clearInterval(telling);
    answer.destroy();
  }
  // In order, none twice, and no hole that was not told.
  expect(heard.misheard).toEqual([]);
  expect(beginning).toBeGreaterThanOrEqual(0);
});
