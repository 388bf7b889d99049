// What nobody else ends: expired sessions that their owner does not know or left, endings that were interrupted, members without a
// record.
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import { backendRecord, IDLE_MS, makeGate, type TestWorker } from './world.js';

const use = useWorld();

async function openUsed(worker: TestWorker) {
  const session = await worker.open();
  await worker.directory.saveBackendSession(session.facts.ref, session.token, 'tickets', 0, backendRecord());
  return session;
}

it("ends a dead owner's expired session, its backend sessions included", async () => {
  const world = use();
  const dead = await world.worker('dead');
  const session = await dead.open();
  await dead.directory.saveBackendSession(session.facts.ref, session.token, 'tickets', 0, backendRecord());
  await dead.die();
  await world.expire(session);
  const worker = await world.worker('a');
  await worker.sweep.makeRoom();
  await worker.ender.settle(1000 * 60);
  expect(await world.sessionKeys()).toEqual([]);
  expect(worker.queue.jobs).toHaveLength(1);
  expect(worker.ended).toEqual(['idle']);
});

it.each(['living', 'own'])('leaves an expired session of a %s owner to its owner', async (whose) => {
  const world = use();
  const owner = await world.worker('owner');
  const session = await owner.open();
  await world.expire(session);
  const sweeper = whose === 'own' ? owner : await world.worker('a');
  await sweeper.sweep.makeRoom();
  expect(await world.field(session.facts.ref, 'state')).toBe('active');
  expect(session.mayAct()).toBe(true);
});

it('lets a living owner decide by its own clock, and asks no more when it says that it lives', async () => {
  const world = use();
  const owner = await world.worker('owner');
  const session = await owner.open();
  const sweeper = await world.worker('a');
  await world.expire(session);
  await sweeper.sweep.makeRoom();
  expect(owner.told).toEqual([`idle ${session.facts.ref}`]);
  const untilMs = Number(await world.redis.zscore(world.keys.expiry, session.facts.ref));
  expect(untilMs).toBe(session.lastUsedMs + IDLE_MS);
  session.lastUsedMs -= IDLE_MS;
  await world.expire(session);
  await world.redis.del(world.keys.forcedSweep);
  await sweeper.sweep.makeRoom();
  expect(session.state).toBe('ended');
  expect(owner.ended).toEqual(['idle']);
});

it('has a living owner end what it does not know: claimed first, then ended, with its backend sessions', async () => {
  const world = use();
  const owner = await world.worker('owner');
  const session = await openUsed(owner);
  // A claim whose answer was lost, or a release that failed.
  owner.table.remove(session);
  await world.expire(session);
  const sweeper = await world.worker('a');
  await sweeper.sweep.makeRoom();
  await owner.ender.settle(60_000);
  expect(await world.sessionKeys()).toEqual([]);
  expect([owner.queue.jobs.length, sweeper.queue.jobs.length]).toEqual([1, 0]);
  expect(owner.ended).toEqual(['idle']);
});

it('leaves what a living owner ends to it: only the owner queues the jobs', async () => {
  const world = use();
  const owner = await world.worker('owner');
  const session = await openUsed(owner);
  owner.queue.fails = true;
  await owner.ender.end(session, 'deleted');
  await waitFor('it to be noted as ending', async () => (await world.redis.zcard(world.keys.ending)) === 1);
  const sweeper = await world.worker('a');
  await sweeper.sweep.makeRoom();
  expect(owner.told).toEqual([`closing ${session.facts.ref}`]);
  expect(sweeper.queue.jobs).toEqual([]);
  owner.queue.fails = false;
  await waitFor('the job', () => {
    world.clock.advance(250);
    return owner.queue.jobs.length > 0;
  });
  expect(owner.queue.jobs).toHaveLength(1);
});

it('leaves what a silent owner should end until its lease is gone, and then one worker goes on with it', async () => {
  const world = use();
  const owner = await world.worker('owner');
  const session = await openUsed(owner);
  await owner.directory.closeSession(session.facts.ref, session.token);
  await owner.directory.addEnding(session.facts.ref, world.clock.wallMs());
  owner.isSilent = true;
  const [a, b] = [await world.worker('a'), await world.worker('b')];
  await a.sweep.makeRoom();
  expect(a.queue.jobs).toEqual([]);
  expect(await world.field(session.facts.ref, 'owner')).toBe(owner.keeper.id);
  await owner.die();
  // Both at once, as the sweep and who still tells: the claim decides.
  const outcomes = await Promise.all([a, b].map((worker) => worker.teller.tell(session.facts.ref, 'closing')));
  await Promise.all([a, b].map((worker) => worker.ender.settle(60_000)));
  // Who comes second may find nothing left.
  expect(['ended', 'gone']).toEqual(expect.arrayContaining(outcomes));
  expect(a.queue.jobs.length + b.queue.jobs.length).toBe(1);
  expect(await world.sessionKeys()).toEqual([]);
});

it('goes on past a record that cannot be read', async () => {
  const world = use();
  const dead = await world.worker('dead');
  const [broken, good] = [await dead.open(), await dead.open()];
  await world.redis.hset(world.keys.session(broken.facts.ref), 'client', '{');
  await dead.die();
  for (const session of [broken, good]) await world.expire(session);
  await world.redis.zadd(world.keys.ending, 1, broken.facts.ref);
  const worker = await world.worker('a');
  await worker.sweep.makeRoom();
  await worker.ender.settle(60_000);
  expect(await world.redis.exists(world.keys.session(good.facts.ref))).toBe(0);
  expect(worker.warnings).toContainEqual(expect.stringContaining('cannot be read'));
});

it('ends no session that was taken over, used and given up after the sweep had read its list', async () => {
  const world = use();
  const [dead, other, sweeper] = [await world.worker('dead'), await world.worker('b'), await world.worker('a')];
  const session = await dead.open();
  await dead.die();
  await world.expire(session);
  const gate = makeGate();
  // As while the silent owners of others are asked, a second each.
  sweeper.before = (verb) => (verb === 'readSession' ? gate.passed : undefined);
  const sweep = sweeper.sweep.makeRoom();
  await waitFor('the list to be read', () => sweeper.verbs.includes('readSession'));
  const used = await other.claim(session);
  if (!used) throw new Error('nobody took it over');
  other.idleRelease.start();
  await waitFor('it to be given up', async () => {
    world.clock.advance(100);
    return (await world.field(session.facts.ref, 'owner')) === '';
  });
  other.idleRelease.stop();
  gate.open();
  await sweep;
  await waitFor('the look at it', async () => sweeper.verbs.includes('readIdleEnd') || sweeper.ended.length > 0);
  await sweeper.ender.settle(60_000);
  expect(sweeper.ended).toEqual([]);
  expect(await world.field(session.facts.ref, 'state')).toBe('active');
  expect(await world.field(session.facts.ref, 'owner')).toBe('');
});

it('leaves a dead owner alone whose idle time has not ended', async () => {
  const world = use();
  const dead = await world.worker('dead');
  const session = await dead.open();
  await dead.die();
  await (await world.worker('a')).sweep.makeRoom();
  expect(await world.field(session.facts.ref, 'owner')).toBe(session.token.owner);
});

it('finishes an ending that a crash left after `closing`', async () => {
  const world = use();
  const dead = await world.worker('dead');
  const session = await dead.open();
  await dead.directory.saveBackendSession(session.facts.ref, session.token, 'tickets', 0, backendRecord());
  await dead.directory.closeSession(session.facts.ref, session.token);
  await dead.directory.addEnding(session.facts.ref, world.clock.wallMs());
  await dead.die();
  const worker = await world.worker('a');
  await worker.sweep.makeRoom();
  await worker.ender.settle(60_000);
  expect(worker.queue.jobs.map((job) => job.backend)).toEqual(['tickets']);
  expect(await world.redis.exists(world.keys.session(session.facts.ref))).toBe(0);
  expect(await world.redis.zcard(world.keys.ending)).toBe(0);
});

it('finishes an ending that a crash left before it was noted as one, when its time is over', async () => {
  const world = use();
  const dead = await world.worker('dead');
  const session = await dead.open();
  await dead.directory.closeSession(session.facts.ref, session.token);
  await dead.die();
  await world.expire(session);
  await (await world.worker('a')).sweep.makeRoom();
  expect(await world.redis.exists(world.keys.session(session.facts.ref))).toBe(0);
  expect(await world.redis.zcard(world.keys.expiry)).toBe(0);
});

it('removes a place that no record stands for', async () => {
  const world = use();
  const worker = await world.worker('a');
  const session = await worker.open();
  worker.table.remove(session);
  await world.redis.del(world.keys.session(session.facts.ref));
  await world.expire(session);
  await worker.sweep.makeRoom();
  expect(await world.redis.zcard(world.keys.expiry)).toBe(0);
});

it('removes no place while things settle after a loss of data', async () => {
  const world = use();
  const worker = await world.worker('a');
  const session = await worker.open();
  worker.table.remove(session);
  await world.redis.del(world.keys.session(session.facts.ref));
  await world.redis.set(world.keys.settling, '1');
  await world.expire(session);
  await worker.sweep.makeRoom();
  expect(await world.redis.zcard(world.keys.expiry)).toBe(1);
});

it('is made for who waits for room although a regular look, for which it is not time, is under way', async () => {
  const world = use();
  const worker = await world.worker('a');
  expect(await worker.directory.acquireSweep(worker.keeper.id, 60_000)).toBe(true);
  const gate = makeGate();
  let looks = 0;
  worker.before = (verb) => (verb === 'acquireSweep' && ++looks === 1 ? gate.passed : undefined);
  worker.sweep.start();
  world.clock.advance(10_000);
  await waitFor('the regular look', () => looks === 1);
  const room = worker.sweep.makeRoom();
  await waitFor('the forced sweep', () => worker.verbs.includes('listExpired'));
  gate.open();
  await room;
  worker.sweep.stop();
});

it('looks at the rest a second later, past what cannot be ended yet', async () => {
  const world = use();
  const owner = await world.worker('owner');
  const sessions = await Promise.all(Array.from({ length: 520 }, () => owner.open()));
  for (const session of sessions) await world.expire(session);
  // It lives, but does not answer: all of the first batch stays as it is.
  owner.isSilent = true;
  const worker = await world.worker('a');
  worker.sweep.start();
  const count = (wanted: string) => worker.verbs.filter((verb) => verb === wanted).length;
  await waitFor('the first batch', () => {
    if (count('listExpired') === 0) world.clock.advance(100);
    return count('readSession') === 500;
  });
  await waitFor('the rest', () => {
    world.clock.advance(100);
    return count('readSession') > 500;
  });
  await waitFor('all of it', () => count('readSession') === 520);
  expect(count('listExpired')).toBe(2);
  worker.sweep.stop();
}, 30_000);

it('is made by one worker of many', async () => {
  const world = use();
  const workers = await Promise.all(['a', 'b', 'c'].map((name) => world.worker(name)));
  await Promise.all(workers.map((worker) => worker.sweep.makeRoom()));
  expect(workers.filter((worker) => worker.verbs.includes('listExpired'))).toHaveLength(1);
});

it('takes over from nobody for one lease after a lapse of its own', async () => {
  const world = use();
  const dead = await world.worker('dead');
  const session = await dead.open();
  await dead.die();
  const worker = await world.worker('a');
  await worker.lapse();
  await world.expire(session);
  await worker.sweep.makeRoom();
  expect(worker.verbs).toContain('listExpired');
  expect(await world.field(session.facts.ref, 'owner')).toBe(session.token.owner);
});

it('finds what was closed by a worker that died before it heard so', async () => {
  const world = use();
  const [dead, other] = [await world.worker('a'), await world.worker('b')];
  const session = await dead.open();
  await dead.directory.saveBackendSession(session.facts.ref, session.token, 'tickets', 0, backendRecord());
  // Nothing after the closing is carried out by it.
  dead.before = (verb) => (verb === 'addEnding' ? new Promise(() => undefined) : undefined);
  // Which it never hears.
  void dead.ender.end(session, 'deleted');
  await waitFor('it to be closing', async () => (await world.field(session.facts.ref, 'state')) === 'closing');
  await dead.die();
  await other.sweep.makeRoom();
  await waitFor('the job', () => other.queue.jobs.length === 1);
});

it('ends nothing that is among those that end by mistake', async () => {
  const world = use();
  const [owner, other] = [await world.worker('a'), await world.worker('b')];
  const session = await owner.open();
  await world.redis.zadd(world.keys.ending, 1, session.facts.ref);
  await other.sweep.makeRoom();
  world.clock.advance(2000);
  await owner.sweep.makeRoom();
  expect(session.mayAct()).toBe(true);
  expect(await world.field(session.facts.ref, 'state')).toBe('active');
});

it.each([
  ['expired', 'active'],
  ['ended', 'closing'],
])('removes a session that has %s and whose record cannot be read', async (_, state) => {
  const world = use();
  const dead = await world.worker('dead');
  const session = await dead.open();
  const { ref } = session.facts;
  await dead.die();
  await world.redis.hset(world.keys.session(ref), 'state', state, 'client', 'no JSON');
  if (state === 'closing') await world.redis.zadd(world.keys.ending, 1, ref);
  else await world.expire(session);
  const worker = await world.worker('a');
  await worker.sweep.makeRoom();
  expect(worker.warnings).toContainEqual(expect.stringContaining('cannot be read'));
  // Its principal's index forgets it when it is asked for room.
  await worker.directory.prunePrincipal(session.facts.principal);
  expect((await world.sessionKeys()).filter((key) => !key.startsWith('principal:'))).toEqual([]);
});

it('is made at most once a minute, and not much less often, by workers that began at different times', async () => {
  const world = use();
  const SECOND = 1000;
  const workers = await Promise.all(Array.from({ length: 12 }, (_, n) => world.worker(`w${n}`)));
  const sweeps: number[] = [];
  // The key that keeps others off ages in Redis' own time; here it does in the test's.
  let freeFromMs = 0;
  for (const worker of workers) {
    const { directory } = worker;
    const acquire = directory.acquireSweep.bind(directory);
    directory.acquireSweep = async (id, intervalMs, kind) => {
      const now = world.clock.monotonicMs();
      if (now < freeFromMs) return false;
      await world.redis.del(world.keys.sweep);
      if (!(await acquire(id, intervalMs, kind))) return false;
      freeFromMs = now + intervalMs;
      sweeps.push(now);
      return true;
    };
  }
  for (const worker of workers) {
    worker.sweep.start();
    world.clock.advance(SECOND * 5);
  }
  const beganMs = world.clock.monotonicMs();
  for (let second = 0; second < 1200; second++) {
    world.clock.advance(SECOND);
    await new Promise((resolve) => setImmediate(resolve));
    if (world.clock.monotonicMs() >= freeFromMs) await Promise.all(workers.map((worker) => worker.directory.countSessions()));
  }
  for (const worker of workers) worker.sweep.stop();
  const gaps = sweeps.slice(1).map((ms, n) => ms - (sweeps[n] as number));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(60 * SECOND);
  expect(sweeps.length).toBeGreaterThan((world.clock.monotonicMs() - beganMs) / (90 * SECOND));
});
