// `redis.waitReplicas`: a renewal and a claim count only when a replica has them, so no failover can lose who owns a session.
import { shared } from '../support/cluster.js';
import { startReplicatedRedis, type ReplicatedRedis } from '../support/redis-sentinel.js';
import { expectOnce, HTTP, startLoad, startWorld, STDIO, tally, type World } from '../support/trouble.js';
import { waitFor } from '../support/wait-for.js';

jest.setTimeout(60_000);

const LEASE_MS = 1500;

let redis: ReplicatedRedis;
let world: World;

beforeAll(async () => {
  redis = await startReplicatedRedis();
  world = await startWorld({
    redis: shared(redis.master),
    config: { internal: { lease: `${LEASE_MS}ms` }, limits: { hold: '4s' }, redis: { waitReplicas: 1 } },
  });
});
afterAll(async () => {
  await world?.dispose();
  await redis?.stop();
});

test('without a replica nobody owns anything: requests are held; when it is back, all sessions go on in their processes', async () => {
  const sessions = await Promise.all([HTTP, HTTP, STDIO].map((path) => world.open(path)));
  const before = await Promise.all(sessions.map((session) => session.backendPid()));
  const load = startLoad(sessions);
  await load.untilAllServed(5000);

  redis.replicas[0]?.pause();
  await waitFor('the first request that was held too long', () => load.answers.some(({ kind }) => kind === '503'), 15_000);
  // Redis itself answers all the time: only the confirmation is missing.
  expect(await world.cluster.client.ping()).toBe('PONG');
  const ran = world.ran().length;
  const refused = load.answers.length;
  await waitFor('another request to be refused', () => load.answers.length > refused, 10_000);
  expect(world.ran()).toHaveLength(ran);

  redis.replicas[0]?.resume();
  await load.untilAllServed(10_000);
  const answers = await load.stop();
  expect(Object.keys(tally(answers)).sort()).toEqual(['503', 'ok']);
  expectOnce(world, answers);
  expect(await Promise.all(sessions.map((session) => session.backendPid()))).toEqual(before);
});
