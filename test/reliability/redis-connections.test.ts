// How many connections a worker holds, and that ten outages leave neither more of them nor commands that nobody waits for.
import { shared } from '../support/cluster.js';
import { holderOfTcp } from '../support/processes.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';
import { expectOnce, HTTP, startLoad, startWorld, STDIO, tally, type World } from '../support/trouble.js';
import { lasted, waitFor } from '../support/wait-for.js';

jest.setTimeout(120_000);

/** docs/redis.md: ownership, subscriber, teardown (adding jobs, taking them, waiting for them). */
const PER_WORKER = 5;
const PER_PRIMARY = 1;
const OUTAGES = 10;

let redis: RedisServer;
let world: World;

beforeAll(async () => {
  redis = await startRedis({ host: '127.0.0.1', appendonly: true });
  world = await startWorld({ redis: shared(redis), config: { internal: { lease: '2s' } } });
});
afterAll(async () => {
  await world?.dispose();
  await redis?.stop();
});

/** By process, as `CLIENT LIST` and the system say. */
async function connectionsOf(pids: readonly number[]): Promise<Map<number, number>> {
  const counts = new Map(pids.map((pid) => [pid, 0]));
  for (const line of String(await world.cluster.client.call('CLIENT', 'LIST', 'TYPE', 'normal')).split('\n')) {
    count(line);
  }
  for (const line of String(await world.cluster.client.call('CLIENT', 'LIST', 'TYPE', 'pubsub')).split('\n')) count(line);
  return counts;

  function count(line: string): void {
    const [, address, port] = /\baddr=([\d.]+):(\d+)/.exec(line) ?? [];
    if (address === undefined) return;
    const holder = holderOfTcp({ address, port: Number(port) }, { address: '127.0.0.1', port: redis.port }, pids);
    if (holder !== undefined) counts.set(holder, (counts.get(holder) ?? 0) + 1);
  }
}

async function expectConnections(): Promise<void> {
  const workers = world.cluster.workers().map(({ pid }) => pid);
  const primaries = world.cluster.pods.map(({ pid }) => pid);
  expect(workers).toHaveLength(4);
  const expected = new Map([
    ...workers.map((pid) => [pid, PER_WORKER] as const),
    ...primaries.map((pid) => [pid, PER_PRIMARY] as const),
  ]);
  let seen: Map<number, number> | undefined;
  await waitFor(
    () => `${PER_WORKER} connections of each worker; seen ${JSON.stringify([...(seen ?? [])])}`,
    async () => {
      seen = await connectionsOf([...workers, ...primaries]);
      return [...expected].every(([pid, count]) => seen?.get(pid) === count);
    },
    15_000,
  );
}

test('a worker holds a fixed number of connections, also after ten outages', async () => {
  const sessions = await Promise.all([HTTP, HTTP, STDIO].map((path) => world.open(path)));
  const before = await Promise.all(sessions.map((session) => session.backendPid()));
  await expectConnections();
  const load = startLoad(sessions);
  for (let outage = 0; outage < OUTAGES; outage += 1) {
    await load.untilAllServed(20_000);
    if (outage % 2) redis.pause();
    else await redis.kill();
    await lasted(600);
    if (outage % 2) redis.resume();
    else await redis.start();
  }
  await load.untilAllServed(20_000);
  await expectConnections();
  const answers = await load.stop();
  // Leases this short may run out between two outages: then a request may be refused, and nothing else.
  expect(Object.keys(tally(answers)).filter((kind) => kind !== 'ok' && kind !== '503')).toEqual([]);
  expectOnce(world, answers);
  expect(await Promise.all(sessions.map((session) => session.backendPid()))).toEqual(before);

  // The queue lives on: a session that ends is ended at its backend.
  const [session] = sessions as [(typeof sessions)[number]];
  const [pod] = world.cluster.pods;
  await pod?.sendTo(pod.workers()[0] as number, { method: 'DELETE', path: HTTP, headers: { 'mcp-session-id': session.id } });
  await waitFor('the teardown', () => world.backend.requestsOf('DELETE').length > 0, 15_000);
});
