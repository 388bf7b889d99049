// `initialize`: the order of rule 11, exact caps, and what is undone where one refuses.
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { useWorld } from './fixture.js';
import { ALICE, BOB, IDLE_MS, initializeRequest, SERVER, type TestWorker } from './world.js';

const use = useWorld();
const open = (worker: TestWorker, principal = ALICE) => worker.opener.open(SERVER, principal, initializeRequest());
const refusal = (error: unknown) => (error instanceof GatewayError ? error.code : error);

it('takes its places, then writes the record, then its idle time', async () => {
  const world = use();
  const worker = await world.worker('a');
  worker.verbs.length = 0;
  const session = await worker.open();
  expect(worker.verbs).toEqual(['reservePrincipal', 'reserveTotal', 'createSession', 'readLease', 'touchSessions']);
  const { ref } = session.facts;
  expect(session.mayAct()).toBe(true);
  expect(worker.table.get(session.facts.id)).toBe(session);
  expect(await world.field(ref, 'owner')).toBe(worker.keeper.id);
  expect(await world.field(ref, 'epoch')).toBe('1');
  expect(Number(await world.redis.zscore(world.keys.expiry, ref))).toBe(world.clock.wallMs() + IDLE_MS);
});

it('never writes the id itself', async () => {
  const world = use();
  const session = await (await world.worker('a')).open();
  const texts = [
    JSON.stringify(await world.redis.hgetall(world.keys.session(session.facts.ref))),
    ...(await world.sessionKeys()),
  ];
  for (const text of texts) expect(text).not.toContain(session.facts.id);
});

it('is refused at the total cap with 503 and leaves nothing of it', async () => {
  const world = use();
  const worker = await world.worker('a', { maxSessions: 2 });
  await worker.open();
  await worker.open();
  const before = await world.sessionKeys();
  expect(await open(worker, BOB).catch(refusal)).toBe('SESSION_CAP');
  expect((await world.sessionKeys()).sort()).toEqual(before.sort());
  expect(await worker.directory.countSessions()).toBe(2);
  expect(worker.table.size).toBe(2);
});

it("is refused at the principal's cap with 429, gives both places back, and disturbs nobody else", async () => {
  const world = use();
  const worker = await world.worker('a', { maxPerPrincipal: 1 });
  await worker.open();
  expect(await open(worker).catch(refusal)).toBe('PRINCIPAL_CAP');
  expect(await worker.directory.countSessions()).toBe(1);
  expect(await world.redis.zcard(world.keys.principal(ALICE.digest))).toBe(1);
  await worker.open(BOB);
});

it('forgets places of a principal that no record stands for before it refuses', async () => {
  const world = use();
  const worker = await world.worker('a', { maxPerPrincipal: 1 });
  const lost = await worker.open();
  await world.redis.del(world.keys.session(lost.facts.ref));
  // Old enough to have had one.
  await world.redis.zadd(world.keys.principal(ALICE.digest), 0, lost.facts.ref);
  await worker.open();
});

it('keeps the caps exact when many open at once through two workers', async () => {
  const world = use();
  const workers = [await world.worker('a', { maxSessions: 7 }), await world.worker('b', { maxSessions: 7 })];
  const outcomes = await Promise.all(
    Array.from({ length: 50 }, (_, n) => open(workers[n % 2] as TestWorker).then(() => 'opened', refusal)),
  );
  expect(outcomes.filter((outcome) => outcome === 'opened')).toHaveLength(7);
  expect(outcomes.filter((outcome) => outcome === 'SESSION_CAP')).toHaveLength(43);
  expect(await (workers[0] as TestWorker).directory.countSessions()).toBe(7);
});

it('makes room at the cap although a regular sweep has just been made', async () => {
  const world = use();
  const worker = await world.worker('a', { maxSessions: 1 });
  const dead = await world.worker('dead', { maxSessions: 1 });
  const lost = await dead.open();
  await dead.die();
  await world.expire(lost);
  expect(await worker.directory.acquireSweep(worker.keeper.id, 60_000)).toBe(true);
  const session = await worker.open();
  expect(worker.ended).toEqual(['idle']);
  expect(session.mayAct()).toBe(true);
});

it('writes nothing without a valid lease', async () => {
  const world = use();
  const worker = await world.worker('a');
  world.clock.stepWall(60_000);
  expect(await open(worker)).toBe('unavailable');
  expect(await world.sessionKeys()).toEqual([]);
});

it('writes no record when the lease ran out while Redis answered the reservations', async () => {
  const world = use();
  const worker = await world.worker('a');
  worker.before = (verb) => {
    if (verb === 'reservePrincipal') world.clock.stepWall(60_000);
  };
  expect(await open(worker)).toBe('unavailable');
  expect(worker.verbs).not.toContain('createSession');
  expect(worker.table.size).toBe(0);
});

it('counts on no record that was written after its lease was lost with the data', async () => {
  const world = use();
  const worker = await world.worker('a');
  await world.redis.flushall();
  expect(await open(worker)).toBe('unavailable');
  expect(worker.table.size).toBe(0);
});
