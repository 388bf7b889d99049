// DESIGN 6, "Resumption", S100: where a backend gives event ids, its own log gives what was missed, also after the owner died: exactly the
// missed events in order, none twice, no gap; and the rest of a call that the dead owner had begun, which is never sent again.
//
// One worker owns all sessions here and is killed once, in the middle of everything; each test looks at one of them.
import { InMemoryEventStore } from '@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js';
import { type Cluster, startCluster, type Worker } from '../support/cluster.js';
import { EventLog } from '../support/event-log.js';
import { getStream, type RawRequest, rpc, toolCall } from '../support/raw-request.js';
import { beginStream, gapsOf, logsOf, progressOf, type RawStream } from '../support/raw-stream.js';
import { type RecordingBackend, type RecordingBackendOptions, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const STEPS = 6;
const WITHIN_MS = 20_000;
const eventStore = () => new EventLog();
const KINDS: Record<string, RecordingBackendOptions> = {
  one: { eventStore },
  two: { eventStore },
  plain: {},
  refusing: { eventStore, refuseResume: 404 },
  // The example store of the SDK cannot find what it stored of the standalone stream: it answers with a stream on which nothing comes.
  deaf: { eventStore: () => new InMemoryEventStore() },
};
const NAMES = Object.keys(KINDS);

let cluster: Cluster;
const backends: Record<string, RecordingBackend> = {};
const gates: Array<{ step(): void }> = [];
/** Who dies, who holds its clients' streams, and one of another pod. */
let victim: Worker;
let edge: Worker;
let far: Worker;
/** By the id of the call. */
const calls = new Map<string, { readonly stream: RawStream; readonly sessionId: string; readonly server: string }>();
/** By what is read. */
const streams = new Map<string, { stream: RawStream; readonly sessionId: string; readonly server: string }>();

const backend = (name: string) => backends[name] as RecordingBackend;
const pathOf = (server: string) => `/servers/${server}/mcp`;
const at = (worker: Worker, raw: RawRequest) => worker.pod.sendTo(worker.pid, raw);
const namesOf = (server: string) => (server === 'both' ? ['one', 'two'] : [server]);

/** A session of the worker that is going to die, used at each of its backends. */
async function open(server: string): Promise<string> {
  const path = pathOf(server);
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1.0.0' } };
  const sessionId = (await at(victim, rpc(path, undefined, 'initialize', params))).headers['mcp-session-id'] as string;
  for (const name of namesOf(server)) {
    const tool = server === 'both' ? `${name}__counter` : 'counter';
    expect((await at(victim, toolCall(path, sessionId, tool))).body).toContain('"text":"1"');
  }
  return sessionId;
}

const resume = (server: string, sessionId: string, lastId?: string) => getStream(pathOf(server), sessionId, lastId);

/** @param from where the call comes in, and its stream is held */
async function startCall(nonce: string, server: string, from: Worker, hasToken = true): Promise<void> {
  const sessionId = await open(server);
  const meta = hasToken ? { _meta: { progressToken: nonce } } : {};
  const params = { name: 'emit', arguments: { nonce, steps: STEPS }, ...meta };
  calls.set(nonce, {
    stream: await beginStream(from, rpc(pathOf(server), sessionId, 'tools/call', params, nonce)),
    sessionId,
    server,
  });
}

async function listen(what: string, server: string): Promise<void> {
  const sessionId = await open(server);
  streams.set(what, { stream: await beginStream(edge, resume(server, sessionId)), sessionId, server });
}

const call = (nonce: string) => calls.get(nonce) as NonNullable<ReturnType<typeof calls.get>>;
const reader = (what: string) => streams.get(what) as NonNullable<ReturnType<typeof streams.get>>;
const ran = (nonce: string) => NAMES.flatMap((name) => backend(name).calls.filter((one) => one.nonce === nonce)).length;
const stepAll = (times: number) => {
  for (let step = 0; step < times; step++) for (const gate of gates) gate.step();
};
const numbers = (name: string, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `${name} ${from + index}`);

async function tell(from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) for (const name of NAMES) await backend(name).sendLog(`${name} ${n}`);
}

const heard = (server: string, count: number) => count * namesOf(server).length;
/** GET streams at the backends: of these clients' standalone streams, and of the rests of calls. */
const LISTENERS = 8;
const OF_THE_LEAVER = 2;
const RESTS = ['held', 'far', 'cancelled', 'primed'].length;
const listening = () => NAMES.reduce((sum, name) => sum + backend(name).listening.size, 0);

beforeAll(async () => {
  for (const [name, options] of Object.entries(KINDS)) {
    backends[name] = await startRecordingBackend(options);
    // A gate each: which of several calls goes on next is nobody's to say.
    gates.push(backend(name).holdSteps());
  }
  const mcpServers = Object.fromEntries(Object.entries(backends).map(([name, { url }]) => [name, { type: 'http', url }]));
  cluster = await startCluster({ config: { mcpServers, servers: { both: { backends: ['one', 'two'] } } } });
  [victim, edge, far] = cluster.workers() as [Worker, Worker, Worker];
  expect(edge.pod).toBe(victim.pod);

  await Promise.all([
    startCall('held', 'one', edge),
    startCall('far', 'two', far),
    startCall('again', 'one', victim),
    startCall('cancelled', 'two', edge),
    startCall('primed', 'one', edge, false),
    startCall('plain', 'plain', edge),
    startCall('refusing', 'refusing', edge),
  ]);
  await Promise.all([
    listen('held', 'both'),
    listen('again', 'both'),
    listen('older', 'one'),
    ...['plain', 'refusing', 'deaf'].map((name) => listen(name, name)),
  ]);
  // Three calls wait at one backend: with three steps each of them has told twice.
  stepAll(3);
  const streaming = [...calls].filter(([nonce]) => nonce !== 'primed');
  await waitFor('progress', () => streaming.every(([, { stream }]) => progressOf(stream).length >= 2), WITHIN_MS);
  await waitFor('an id before any message', () => call('primed').stream.lastId() !== undefined);
  await waitFor('all to be heard', () => listening() === LISTENERS);
  await tell(1, 3);
  await waitFor('what was said before', () =>
    [...streams.values()].every(({ stream, server }) => logsOf(stream).length === heard(server, 3)),
  );
  reader('again').stream.leave();

  process.kill(victim.pid, 'SIGKILL');
  await tell(4, 6);
  await waitFor(
    () => `the next owner to listen: ${listening()}`,
    () => listening() === LISTENERS - OF_THE_LEAVER + RESTS,
    WITHIN_MS,
  );
  const again = reader('again');
  const lastId = again.stream.lastId();
  again.stream = await beginStream(far, resume('both', again.sessionId, lastId));
  await waitFor(
    'all to be heard again',
    () => listening() === LISTENERS + RESTS && gapsOf(reader('deaf').stream) === 1,
    WITHIN_MS,
  );
  await tell(7, 9);
}, 120_000);

afterAll(async () => {
  for (const { stream } of [...calls.values(), ...streams.values()]) stream.leave();
  await cluster?.dispose();
  for (const one of Object.values(backends)) await one.close();
});

const expectResult = (stream: RawStream, nonce: string) =>
  expect(stream.messages().at(-1)).toMatchObject({
    id: nonce,
    result: { content: [{ type: 'text', text: `${nonce}:emitted` }] },
  });

describe('a call whose owner is killed in the middle', () => {
  test('has an unknown outcome where the backend cannot go on', async () => {
    for (const nonce of ['plain', 'refusing']) {
      const { stream, sessionId, server } = call(nonce);
      await waitFor(`the end at ${nonce}`, () => stream.ended(), WITHIN_MS);
      expect(stream.messages().at(-1)).toMatchObject({ id: nonce, error: { code: -32012 } });
      const resumed = await beginStream(far, resume(server, sessionId, stream.eventIds()[0]));
      await waitFor('its end', () => resumed.ended());
      expect(resumed.messages().at(-1)).toMatchObject({ id: nonce, error: { code: -32012 } });
      expect(ran(nonce)).toBe(1);
    }
  });

  test('can still be cancelled', async () => {
    const { stream, sessionId, server } = call('cancelled');
    stepAll(2);
    await waitFor('it to go on', () => progressOf(stream).length > 2, WITHIN_MS);
    const message = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'cancelled' } };
    expect((await at(far, { ...rpc(pathOf(server), sessionId, ''), body: JSON.stringify(message) })).status).toBe(202);
    const told = () => backend(server).requestsOf('POST', 'notifications/cancelled');
    await waitFor('the backend to hear of it', () => told().length === 1);
    expect(told()[0]?.params).toMatchObject({ requestId: 'cancelled' });
  });

  test('goes on for a client that comes again, at any worker, also from further back', async () => {
    const { stream, sessionId, server } = call('again');
    const [first, second] = stream.eventIds();
    const resumed = await beginStream(edge, resume(server, sessionId, second));
    // What was passed on did not reach the client, which comes with an older id: the same answer, read once more.
    const older = await beginStream(far, resume(server, sessionId, first));
    await waitFor('the end of the reader before', () => resumed.ended());
    stepAll(3 * STEPS);
    await waitFor('the end', () => older.ended(), WITHIN_MS);
    expect(progressOf(older)).toEqual([2, 3, 4, 5, 6]);
    expectResult(older, 'again');
    expect(ran('again')).toBe(1);
  });

  test.each(['held', 'far'])('goes on at the POST that another worker holds, to its result (%s)', async (nonce) => {
    const { stream, sessionId, server } = call(nonce);
    stepAll(3 * STEPS);
    await waitFor('the end', () => stream.ended(), WITHIN_MS);
    expect(progressOf(stream)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(gapsOf(stream)).toBe(0);
    expectResult(stream, nonce);
    expect(ran(nonce)).toBe(1);
    // It has nothing more to send, at any worker.
    for (const worker of [edge, far]) expect((await at(worker, resume(server, sessionId, stream.lastId()))).status).toBe(204);
  });

  test('before its first message: the id that the backend gave at once is enough', async () => {
    const { stream } = call('primed');
    stepAll(3 * STEPS);
    await waitFor('the end', () => stream.ended(), WITHIN_MS);
    expect(stream.messages()).toHaveLength(1);
    expectResult(stream, 'primed');
    expect(ran('primed')).toBe(1);
  });
});

describe('the standalone stream, its owner killed', () => {
  const ofBackend = (name: string, logs: readonly string[]) => logs.filter((log) => log.startsWith(`${name} `));

  test('at another worker goes on: of two backends, each message once', async () => {
    const { stream } = reader('held');
    await waitFor(
      () => `all of it: ${JSON.stringify(stream.messages())}`,
      () => logsOf(stream).length >= 18,
    );
    for (const name of ['one', 'two']) expect(ofBackend(name, logsOf(stream))).toEqual(numbers(name, 1, 9));
    expect(gapsOf(stream)).toBe(0);
  });

  test('opened again by its client, at a worker of another pod, gives what was missed', async () => {
    const { stream } = reader('again');
    await waitFor(
      () => `what was missed: ${JSON.stringify(stream.messages())}`,
      () => logsOf(stream).length >= 12,
    );
    for (const name of ['one', 'two']) expect(ofBackend(name, logsOf(stream))).toEqual(numbers(name, 4, 9));
    expect(gapsOf(stream)).toBe(0);
  });

  test('also to a client that has less than its edge had passed on', async () => {
    const { stream, sessionId } = reader('older');
    await waitFor('what the edge passed on', () => logsOf(stream).length === 9);
    const older = await beginStream(far, resume('one', sessionId, stream.eventIds()[0]));
    await waitFor(
      () => `what is missing: ${JSON.stringify(older.messages())}`,
      () => logsOf(older).length >= 8,
    );
    expect(logsOf(older)).toEqual(numbers('one', 2, 9));
    expect(gapsOf(older)).toBe(0);
    older.leave();
  });

  test.each(['plain', 'refusing', 'deaf'])('tells a gap and goes on where the backend cannot go on (%s)', async (name) => {
    const { stream } = reader(name);
    await waitFor(
      () => `what came after the gap: ${JSON.stringify(stream.messages())}`,
      () => logsOf(stream).includes(`${name} 9`),
    );
    expect(gapsOf(stream)).toBe(1);
    expect(logsOf(stream).slice(0, 3)).toEqual(numbers(name, 1, 3));
    expect(new Set(logsOf(stream)).size).toBe(logsOf(stream).length);
  });
});
