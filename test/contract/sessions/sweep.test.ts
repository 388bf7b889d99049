// What nobody else ends: expired sessions of dead owners, endings that a crash interrupted, members without a record.
import { useWorld } from './fixture.js';
import { backendRecord } from './world.js';

const use = useWorld();

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
