// S20: the master dies, Sentinel promotes its replica, and every session goes on; what the master had confirmed is not lost.
import { type Redis as RedisClient, Redis } from 'ioredis';
import { startSentinelRedis, type SentinelRedis } from '../support/redis-sentinel.js';
import { expectOnce, HTTP, startLoad, startWorld, STDIO, tally, type World } from '../support/trouble.js';
import { waitFor } from '../support/wait-for.js';

jest.setTimeout(120_000);

let redis: SentinelRedis;
let world: World;

beforeAll(async () => {
  redis = await startSentinelRedis();
  const [, host, port, name] = /^sentinel:(.+):(\d+)\/(.+)$/.exec(redis.url) as unknown as [string, string, string, string];
  world = await startWorld({
    redis: {
      urlFor: () => redis.url,
      connect: (): RedisClient => new Redis({ sentinels: [{ host, port: Number(port) }], name }),
    },
    config: { internal: { lease: '2s' } },
  });
});
afterAll(async () => {
  await world?.dispose();
  await redis?.stop();
});

test('the start warns that nothing keeps an old master from taking writes', () => {
  for (const pod of world.cluster.pods) {
    expect(pod.logs().filter(({ msg }) => String(msg).includes('min-replicas-to-write'))).toHaveLength(1);
  }
});

test('sessions go on under their ids in their processes, each call once, and so they do when the old master comes back', async () => {
  const sessions = await Promise.all([HTTP, HTTP, HTTP, STDIO, STDIO].map((path) => world.open(path)));
  const before = await Promise.all(sessions.map((session) => session.backendPid()));
  const issued = world.backend.issued.length;
  const ended = await world.open(HTTP);
  await world.cluster.pods[0]?.sendTo(world.cluster.pods[0].workers()[0] as number, {
    method: 'DELETE',
    path: HTTP,
    headers: { 'mcp-session-id': ended.id },
  });
  const load = startLoad(sessions);
  await load.untilAllServed(5000);
  await waitFor('the replica to have everything', async () => (await world.cluster.client.call('WAIT', 1, 100)) === 1);

  await redis.master.kill();
  await waitFor('Sentinel to promote the replica', async () => (await redis.masterPort()) === redis.replicas[0]?.port, 20_000);
  await load.untilAllServed(15_000);
  expect((await ended.call()).kind).toBe('404');
  await redis.master.start();
  const replica = redis.replicas[0];
  await waitFor('the old master to follow the new one', () => followersOf(replica?.url as string), 30_000);
  await load.untilAllServed(10_000);
  const answers = await load.stop();

  // The lease may run out during the failover, but nobody is held for longer than limits.hold.
  expect(tally(answers)).toEqual({ ok: answers.length });
  expectOnce(world, answers);
  expect(await Promise.all(sessions.map((session) => session.backendPid()))).toEqual(before);
  expect(world.backend.issued).toHaveLength(issued);
});

async function followersOf(url: string): Promise<boolean> {
  const client = new Redis(url);
  try {
    return (await client.info('replication')).includes('connected_slaves:1');
  } finally {
    client.disconnect();
  }
}
