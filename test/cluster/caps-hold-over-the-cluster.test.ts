// S89, S90, S92, S93: caps in total and per caller, over two pods that know of each other through Redis alone; idle time.
import { createHash, randomBytes } from 'node:crypto';
import { makeKeys } from '../../src/directory/keys.js';
import { referenceOf, type SessionId } from '../../src/protocol/ids.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { beginRaw, openSession, type RawAnswer, type RawRequest, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
const CALLERS = ['alice', 'bob', 'carol'] as const;
type Caller = (typeof CALLERS)[number];
const keyOf = Object.fromEntries(CALLERS.map((id) => [id, randomBytes(24).toString('hex')])) as Record<Caller, string>;
const auth = {
  mode: 'keys',
  keys: CALLERS.map((id) => ({ id, sha256: createHash('sha256').update(keyOf[id]).digest('hex') })),
};

let backend: RecordingBackend;
let cluster: Cluster;
beforeEach(async () => {
  backend = await startRecordingBackend();
});
afterEach(async () => {
  await cluster?.dispose();
  await backend?.close();
});
const start = async (config: Record<string, unknown>) => {
  cluster = await startCluster({ config: { mcpServers: { recorder: { type: 'http', url: backend.url } }, ...config } });
};

const as = (caller: Caller, raw: RawRequest): RawRequest => ({ ...raw, headers: { ...raw.headers, 'x-api-key': keyOf[caller] } });
const initialize = (id: number | string = 1) =>
  rpc(
    PATH,
    undefined,
    'initialize',
    { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } },
    id,
  );
const deletion = (sessionId: string): RawRequest => ({ method: 'DELETE', path: PATH, headers: { 'mcp-session-id': sessionId } });
const idOf = (answer: RawAnswer) => answer.headers['mcp-session-id'] as string;
const send = (raw: RawRequest) => sendRaw(cluster.balancer.origin, raw);

function expectRefusal(answer: RawAnswer, status: number, reason: string, limit: number, id: number | string): void {
  expect(answer.status).toBe(status);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  expect(answer.headers['mcp-session-id']).toBeUndefined();
  expect(JSON.parse(answer.body)).toMatchObject({ id, error: { code: -32000, data: { reason, limit } } });
}

/** Keys that speak of sessions. */
const sessionKeys = async () =>
  (await cluster.keys())
    .map((key) => key.slice(cluster.prefix.length))
    .filter((key) => /^(expiry|ending|principal:|\{.+\}:session)/.test(key));

test('caps are exact through all workers, others get in, and a place that is free is free at once', async () => {
  await start({ auth, sessions: { max: 12, maxPerPrincipal: 5 } });
  const flood = Array.from({ length: 40 }, (_, n) => send(as('alice', initialize(`alice-${n}`))));
  const others = Array.from({ length: 3 }, (_, n) => send(as('bob', initialize(`bob-${n}`))));
  const [alice, bob] = await Promise.all([Promise.all(flood), Promise.all(others)]);
  const mine = alice.filter(({ status }) => status === 200).map(idOf);
  expect(mine).toHaveLength(5);
  expect(bob.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(new Set([...mine, ...bob.map(idOf)]).size).toBe(8);
  for (const [n, answer] of alice.entries())
    if (answer.status !== 200) expectRefusal(answer, 429, 'principal_cap', 5, `alice-${n}`);

  // Ended through one worker, opened through another, with nothing in between.
  const workers = cluster.workers();
  for (let round = 0; round < 24; round++) {
    const [one, other] = [workers[round % 4], workers[(round + 1 + Math.floor(round / 4)) % 4]];
    if (!one || !other) throw new Error('four workers are needed');
    const [to, from] = [await other.pod.connectTo(other.pid), await one.pod.connectTo(one.pid)];
    const ended = await sendRaw(one.pod.origin, as('alice', deletion(mine.shift() as string)), from);
    expect(ended.status).toBe(202);
    const opened = await sendRaw(other.pod.origin, as('alice', initialize(round)), to);
    expect([round, opened.status, opened.body.slice(0, 200)]).toEqual([round, 200, expect.any(String)]);
    mine.push(idOf(opened));
  }

  const carol = await Promise.all(Array.from({ length: 20 }, () => send(as('carol', initialize()))));
  const hers = carol.filter(({ status }) => status === 200).map(idOf);
  expect(hers).toHaveLength(4);
  expectRefusal(await send(as('carol', initialize('late'))), 503, 'session_cap', 12, 'late');

  // A worker that dies gives nobody's place away, and none is lost.
  const owner = await cluster.ownerOf(mine[0] as string);
  process.kill(owner.pid, 'SIGKILL');
  await waitFor(
    'another owner',
    async () => (await send(as('alice', rpc(PATH, mine[0] as string, 'ping')))).status === 200,
    20_000,
  );
  expect((await send(as('bob', initialize()))).status).toBe(503);

  const all: Array<[Caller, string]> = [
    ...mine.map((id): [Caller, string] => ['alice', id]),
    ...bob.map((answer): [Caller, string] => ['bob', idOf(answer)]),
    ...hers.map((id): [Caller, string] => ['carol', id]),
  ];
  expect(all).toHaveLength(12);
  for (const [caller, id] of all) expect((await send(as(caller, deletion(id)))).status).toBe(202);
  await waitFor('every key of a session to be gone', async () => (await sessionKeys()).length === 0, 20_000);
});

test('without authentication the total counts; what is idle ends, what is used or watched does not', async () => {
  await start({ sessions: { max: 4, idleTimeout: '6s' } });
  const { origin } = cluster.balancer;
  const [used, watched, idle, abandoned] = await Promise.all(Array.from({ length: 4 }, () => openSession(origin, PATH)));
  expect((await send(toolCall(PATH, idle as string, 'counter'))).status).toBe(200);
  const [backendSession] = backend.issued;
  expectRefusal(await send(initialize('fifth')), 503, 'session_cap', 4, 'fifth');
  const headers = { accept: 'text/event-stream', 'mcp-session-id': watched as string };
  const stream = await beginRaw(origin, { method: 'GET', path: PATH, headers });
  stream.answer.resume();

  const record = (id: string) => makeKeys(cluster.prefix).session(referenceOf(id as SessionId));
  await waitFor(
    'the idle sessions to end while one is used and one is watched',
    async () => {
      expect((await send(rpc(PATH, used as string, 'ping'))).status).toBe(200);
      const left = await Promise.all([idle, abandoned].map((id) => cluster.client.exists(record(id as string))));
      return left.every((count) => count === 0);
    },
    40_000,
  );
  for (const { pid, pod } of cluster.workers()) {
    expect((await pod.sendTo(pid, rpc(PATH, idle as string, 'ping'))).status).toBe(404);
    expect((await pod.sendTo(pid, rpc(PATH, used as string, 'ping'))).status).toBe(200);
  }
  expect((await send(rpc(PATH, watched as string, 'ping'))).status).toBe(200);
  await waitFor('the DELETE of the backend session', () =>
    backend.requestsOf('DELETE').some(({ sessionId }) => sessionId === backendSession),
  );
  const again = await Promise.all(Array.from({ length: 6 }, () => send(initialize())));
  expect(again.map(({ status }) => status).sort()).toEqual([200, 200, 503, 503, 503, 503]);
  stream.call.destroy();
});
