// Redis Cluster: sessions of two pods over three masters, one of which dies and comes back.
import { Cluster as ClusterClient } from 'ioredis';
import { referenceOf, type SessionId } from '../../src/protocol/ids.js';
import { makeKeys } from '../../src/directory/keys.js';
import { type RedisCluster, startRedisCluster } from '../support/redis-server.js';
import { expectOnce, HTTP, type OpenSession, startLoad, startWorld, STDIO, tally, type World } from '../support/trouble.js';
import { lasted, waitFor } from '../support/wait-for.js';

jest.setTimeout(120_000);

let redis: RedisCluster;
let world: World;

beforeAll(async () => {
  redis = await startRedisCluster({ appendonly: true });
  world = await startWorld({
    redis: {
      urlFor: () => redis.url,
      connect: () => new ClusterClient(redis.servers.map(({ port }) => ({ host: '127.0.0.1', port }))),
    },
    config: { internal: { lease: '2s' } },
  });
});
afterAll(async () => {
  await world?.dispose();
  await redis?.stop();
});

const SLOTS_PER_MASTER = 16384 / 3;

async function masterOf(session: OpenSession): Promise<number> {
  const key = makeKeys(world.cluster.prefix).session(referenceOf(session.id as SessionId));
  return Math.floor(((await world.cluster.client.cluster('KEYSLOT', key)) as number) / SLOTS_PER_MASTER);
}

test('sessions over all masters are served by both pods; one master dies and comes back, and all of them go on', async () => {
  const sessions: OpenSession[] = [];
  const masters = new Set<number>();
  while (masters.size < 3 || sessions.length < 6) {
    const session = await world.open(sessions.length % 3 === 2 ? STDIO : HTTP);
    sessions.push(session);
    masters.add(await masterOf(session));
  }
  const before = await Promise.all(sessions.map((session) => session.backendPid()));
  const issued = world.backend.issued.length;
  const load = startLoad(sessions);
  await load.untilAllServed(5000);

  for (const victim of redis.servers) {
    await victim.restart();
    await load.untilAllServed(20_000);
  }
  const answers = await load.stop();

  expect(tally(answers)).toEqual({ ok: answers.length });
  expectOnce(world, answers);
  expect(await Promise.all(sessions.map((session) => session.backendPid()))).toEqual(before);
  expect(world.backend.issued).toHaveLength(issued);
});

test('with one master away for longer than a lease, requests end or are refused in time; afterwards all sessions go on', async () => {
  const sessions = await Promise.all([HTTP, HTTP, HTTP, HTTP, STDIO].map((path) => world.open(path)));
  const before = await Promise.all(sessions.map((session) => session.backendPid()));
  const load = startLoad(sessions);
  await load.untilAllServed(5000);
  await redis.servers[1]?.kill();
  await lasted(5000);
  await redis.servers[1]?.start();
  await load.untilAllServed(20_000);
  const answers = await load.stop();
  expect(Object.keys(tally(answers)).filter((kind) => kind !== 'ok' && kind !== '503')).toEqual([]);
  expectOnce(world, answers);
  expect(await Promise.all(sessions.map((session) => session.backendPid()))).toEqual(before);
});

test('an ended session is gone on every worker, and its teardown reaches the backend', async () => {
  const session = await world.open(HTTP);
  await session.call();
  const deletes = world.backend.requestsOf('DELETE').length;
  const [pod] = world.cluster.pods;
  const answer = await pod?.sendTo(pod.workers()[0] as number, {
    method: 'DELETE',
    path: HTTP,
    headers: { 'mcp-session-id': session.id },
  });
  expect(answer?.status).toBe(202);
  for (let request = 0; request < 8; request += 1) expect((await session.call()).kind).toBe('404');
  await waitFor('the teardown', () => world.backend.requestsOf('DELETE').length > deletes, 10_000);
});
