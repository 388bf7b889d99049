// S17, S18: Redis restarts, stalls or is away, and keeps its records. Nobody loses a session, the state of a stdio backend
// included; nothing is executed twice, and nothing by a worker whose lease has run out.
import { shared, type Worker } from '../support/cluster.js';
import { getStream, openSession, type RawAnswer, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';
import {
  expectOnce,
  HTTP,
  type OpenSession,
  read,
  startLoad,
  startWorld,
  STDIO,
  tally,
  watchProbes,
  type World,
} from '../support/trouble.js';
import { readMetric } from '../support/slow-clients.js';
import { lasted, waitFor } from '../support/wait-for.js';

jest.setTimeout(120_000);

const LEASE_MS = 6000;
const HOLD_MS = 10_000;
const AWAY_MS = 20_000;

let redis: RedisServer;
let world: World;
let sessions: OpenSession[];

beforeAll(async () => {
  redis = await startRedis({ host: '127.0.0.1', appendonly: true });
  world = await startWorld({
    redis: shared(redis),
    config: { internal: { lease: `${LEASE_MS}ms` }, limits: { hold: `${HOLD_MS}ms` } },
  });
  sessions = await Promise.all([HTTP, HTTP, HTTP, HTTP, STDIO, STDIO].map((path) => world.open(path)));
});
afterAll(async () => {
  await world?.dispose();
  await redis?.stop();
});

const owners = () => Promise.all(sessions.map(({ id }) => world.cluster.ownerOf(id)));
const backendPids = () => Promise.all(sessions.map((session) => session.backendPid()));
const epochs = async () => (await owners()).map(({ epoch }) => epoch);
const ownerPids = async () => (await owners()).map(({ pid }) => pid);
const passed = (ms: number) => {
  const untilMs = performance.now() + ms;
  return () => performance.now() >= untilMs;
};

test('it restarts: no call fails, no session changes its owner', async () => {
  const before = { epochs: await epochs(), owners: await ownerPids(), backends: await backendPids() };
  const load = startLoad(sessions);
  await load.untilAllServed(5000);
  await redis.restart();
  await load.untilAllServed(10_000);
  const answers = await load.stop();

  expect(tally(answers)).toEqual({ ok: answers.length });
  expectOnce(world, answers);
  expect({ epochs: await epochs(), owners: await ownerPids(), backends: await backendPids() }).toEqual(before);
});

test('it stalls for 10 s: every call is answered in the end, under the same ids by the same processes', async () => {
  const before = { owners: await ownerPids(), backends: await backendPids() };
  const issued = world.backend.issued.length;
  const probes = await watchProbes(world.cluster);
  const load = startLoad(sessions);
  await load.untilAllServed(5000);
  redis.pause();
  await lasted(10_000);
  redis.resume();
  await load.untilAllServed(HOLD_MS);
  const answers = await load.stop();
  const report = await probes.stop();

  expect(tally(answers)).toEqual({ ok: answers.length });
  expectOnce(world, answers);
  expect({ owners: await ownerPids(), backends: await backendPids() }).toEqual(before);
  expect(world.backend.issued).toHaveLength(issued);
  expect(report).toEqual({ notLive: [], notReadyMs: [] });
});

test('it is away for 20 s: owned sessions go on while the lease holds, then requests are held and refused; afterwards all go on', async () => {
  const before = { owners: await ownerPids(), backends: await backendPids() };
  const [session] = sessions as [OpenSession, ...OpenSession[]];
  const owner = await world.cluster.ownerOf(session.id);
  const direct = async () => {
    const nonce = `direct-${performance.now()}`;
    return read(nonce, await owner.pod.sendTo(owner.pid, toolCall(HTTP, session.id, 'echo', { nonce })));
  };
  const probes = await watchProbes(world.cluster);
  const load = startLoad(sessions);
  await load.untilAllServed(5000);

  const connections = await Promise.all(
    world.cluster.workers().map(async ({ pid, pod }) => ({ pod, socket: await pod.connectTo(pid) })),
  );
  await redis.kill();
  const away = { over: passed(AWAY_MS), lapsed: passed(LEASE_MS), guarded: passed(LEASE_MS / 2 - 500) };
  // The lease was renewed at most a third of it ago, and a sixth is its margin: half of it is left at least.
  const inTime = [];
  while (!away.guarded()) inTime.push(await direct());
  expect(tally(inTime)).toEqual({ ok: inTime.length });

  const unknown = world.cluster.url(HTTP);
  const needsRecord = Promise.all([
    timed(() => sendRaw(unknown, toolCall(HTTP, 'A'.repeat(32), 'echo'))),
    timed(() => sendRaw(unknown, rpc(HTTP, undefined, 'initialize', { protocolVersion: '2025-11-25', capabilities: {} }))),
  ]);
  await waitFor('the leases to run out', away.lapsed, LEASE_MS);
  const ranAtLapse = world.ran().length;
  // S105: also through the worker that owned the session a moment ago.
  const streams = Promise.all(
    connections.map(({ pod, socket }) => timed(() => sendRaw(pod.origin, getStream(HTTP, session.id), socket))),
  );
  for (const { answer, ms } of [...(await needsRecord), ...(await streams)]) {
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toMatch(/^\d+$/);
    expect(ms).toBeLessThan(HOLD_MS + 3000);
  }
  await waitFor('20 s to be over', away.over, AWAY_MS);
  expect(world.ran()).toHaveLength(ranAtLapse);
  await redis.start();
  await load.untilAllServed(HOLD_MS);
  const answers = await load.stop();
  const report = await probes.stop();

  const kinds = tally(answers);
  expect(Object.keys(kinds).sort()).toEqual(['503', 'ok']);
  expect(answers.filter(({ kind, raw }) => kind === '503' && raw.headers['retry-after'] === undefined)).toEqual([]);
  expectOnce(world, [...answers, ...inTime]);
  expect({ owners: await ownerPids(), backends: await backendPids() }).toEqual(before);
  expect(report.notLive).toEqual([]);
  for (const ms of report.notReadyMs) expect(ms).toBeGreaterThan(3 * LEASE_MS);
  const [one, other] = world.cluster.workers() as [Worker, Worker];
  const first = await one.pod.beginAt(one.pid, getStream(HTTP, session.id));
  const second = await other.pod.beginAt(other.pid, getStream(HTTP, session.id));
  expect([first.answer.statusCode, second.answer.statusCode]).toEqual([200, 200]);
  for await (const _part of first.answer);
  expect(await readMetric(world.cluster, 'berth_streams')).toBe(1);
  second.call.destroy();
  await waitFor('no stream to be counted', async () => (await readMetric(world.cluster, 'berth_streams')) === 0);
  // A new session, too.
  await openSession(world.cluster.balancer.origin, HTTP);
});

async function timed(send: () => Promise<RawAnswer>): Promise<{ answer: RawAnswer; ms: number }> {
  const fromMs = performance.now();
  const answer = await send();
  return { answer, ms: performance.now() - fromMs };
}
