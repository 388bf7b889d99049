// What operators see of the directory: every session once, also where many expire in the same millisecond, and the leases as they are.
import { RedisOverview } from '../../../src/directory/redis-overview.js';
import type { ListedSession, ListPosition } from '../../../src/directory/overview.js';
import { makeKeys } from '../../../src/directory/keys.js';
import { type RedisServer, startRedis } from '../../support/redis-server.js';
import { Harness, LEASE_MS, newLease, newRef } from './harness.js';

let server: RedisServer;
let harness: Harness;
let overview: RedisOverview;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(async () => {
  harness = await Harness.open(server.url);
  overview = new RedisOverview({ connection: harness.connection, prefix: harness.prefix });
});
afterEach(() => harness.close());

const expiry = () => makeKeys(harness.prefix).expiry;

async function readAll(limit: number, between: () => Promise<unknown> = async () => undefined): Promise<ListedSession[]> {
  const all: ListedSession[] = [];
  let after: ListPosition | undefined;
  for (;;) {
    const page = await overview.listSessions(after, limit);
    all.push(...page);
    if (page.length < limit) return all;
    after = page.at(-1);
    await between();
  }
}

test('members are listed in order with their records; one without, and one that is not readable, hide no other', async () => {
  const { ref, token } = await harness.openSession({ serverId: 'support' });
  const [opening, broken] = [newRef(), newRef()];
  await harness.connection.hset(makeKeys(harness.prefix).session(broken), 'owner', 'x');
  await harness.connection.zadd(expiry(), 1000, ref, 2000, opening, 3000, broken, 4000, 'no reference');
  const listed = await readAll(10);
  expect(listed.map(({ ref, untilMs }) => [ref, untilMs])).toEqual([
    [ref, 1000],
    [opening, 2000],
    [broken, 3000],
  ]);
  expect(listed[0]?.record).toMatchObject({ owner: token.owner, serverId: 'support', state: 'active' });
  expect(listed.slice(1).map(({ record }) => record)).toEqual([undefined, 'unreadable']);
  expect(await overview.readExpiry(ref)).toBe(1000);
  expect(await overview.readExpiry(newRef())).toBeUndefined();
});

test('2 500 that expire in the same millisecond are each listed once, in pages of any size', async () => {
  const refs = Array.from({ length: 2500 }, newRef);
  await harness.connection.zadd(expiry(), ...refs.flatMap((ref) => [5000, ref]));
  for (const limit of [100, 999]) {
    expect((await readAll(limit)).map(({ ref }) => ref)).toEqual([...refs].sort());
  }
});

test('one that is used while the list is read is not missed', async () => {
  const refs = Array.from({ length: 50 }, newRef);
  await harness.connection.zadd(expiry(), ...refs.flatMap((ref, index) => [1000 + index, ref]));
  let used = 0;
  const listed = await readAll(10, async () => {
    // From the front of what is not listed yet, and from what is.
    await harness.connection.zadd(
      expiry(),
      'XX',
      'GT',
      9000 + used,
      refs[15 + used] as string,
      9100 + used,
      refs[used] as string,
    );
    used++;
  });
  expect(new Set(listed.map(({ ref }) => ref))).toEqual(new Set(refs));
});

test('leases are told with the time they have left; dead workers are not', async () => {
  const [living, dead] = [newLease(), newLease()];
  await harness.directory.openLease(living, LEASE_MS);
  await harness.directory.openLease(dead, LEASE_MS);
  await harness.connection.del(makeKeys(harness.prefix).lease(dead.id));
  const leases = await overview.listLeases();
  expect(leases.map(({ lease }) => lease)).toEqual([living]);
  expect(leases[0]?.leftMs).toBeGreaterThan(0);
  expect(leases[0]?.leftMs).toBeLessThanOrEqual(LEASE_MS);
});
