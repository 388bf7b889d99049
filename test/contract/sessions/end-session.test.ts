// Ending: dead everywhere at once, its backend sessions queued once, no key left, and nothing that could revive it.
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import { backendRecord, backendSession, makeGate, type TestWorker } from './world.js';

const use = useWorld();

async function openWithBackend(worker: TestWorker) {
  const session = await worker.open();
  const { ref } = session.facts;
  await worker.directory.saveBackendSession(ref, session.token, 'tickets', 0, backendRecord());
  await worker.directory.saveBackendSession(ref, session.token, 'local', 0, backendRecord(1, 'stdio'));
  return session;
}

const noKeyLeft = () =>
  waitFor('the keys of the session to go', async () => (await use().sessionKeys()).length === 0 || undefined);

it('closes memory, then the record, then queues the jobs, then removes every key', async () => {
  const worker = await use().worker('a');
  const session = await openWithBackend(worker);
  worker.verbs.length = 0;
  expect(await worker.ender.end(session, 'deleted')).toBe('ended');
  expect(session.state).toBe('ended');
  expect(worker.table.size).toBe(0);
  expect(worker.ended).toEqual(['deleted']);
  await noKeyLeft();
  expect(worker.verbs).toEqual(['closeSession', 'addEnding', 'dropReservations', 'removeSession']);
  expect(worker.queue.jobs).toEqual([
    { backend: 'tickets', sessionRef: session.facts.ref, generation: 1, protocolVersion: '2025-06-18', sealed: 'sealed-1' },
  ]);
});

it('is ended once, however often it is asked for', async () => {
  const worker = await use().worker('a');
  const session = await openWithBackend(worker);
  await Promise.all([1, 2, 3].map(() => worker.ender.end(session, 'deleted')));
  await noKeyLeft();
  expect(worker.ended).toEqual(['deleted']);
  expect(worker.queue.jobs).toHaveLength(1);
});

it('is dead on other workers as soon as the end is told', async () => {
  const world = use();
  const worker = await world.worker('a');
  const other = await world.worker('b');
  const session = await openWithBackend(worker);
  worker.queue.fails = true;
  await worker.ender.end(session, 'deleted');
  expect(await world.field(session.facts.ref, 'state')).toBe('closing');
  expect(await other.route(session)).toEqual({ kind: 'gone' });
});

it('is never claimed back while `closing` is being written, not even through a lapse', async () => {
  const world = use();
  const worker = await world.worker('a');
  const session = await openWithBackend(worker);
  const gate = makeGate();
  worker.before = (verb) => (verb === 'closeSession' ? gate.passed : undefined);
  const ending = worker.ender.end(session, 'deleted');
  // The record still looks alive, and our own memory says better.
  expect(await world.field(session.facts.ref, 'state')).toBe('active');
  expect(await worker.route(session)).toEqual({ kind: 'local', session });
  expect(session.mayAct()).toBe(false);
  expect(await worker.claim(session)).toBe(session);
  await worker.lapse();
  expect(session.state).toBe('ended');
  gate.open();
  expect(await ending).toBe('ended');
  await noKeyLeft();
  expect(worker.verbs).not.toContain('claimSession');
});

it('that comes while it is being claimed back waits for the claim, and then ends it', async () => {
  const worker = await use().worker('a');
  const session = await openWithBackend(worker);
  const gate = makeGate();
  worker.before = (verb) => (verb === 'claimSession' ? gate.passed : undefined);
  await worker.lapse();
  expect(session.state).toBe('reclaiming');
  const ending = worker.ender.end(session, 'state_lost');
  gate.open();
  expect(await ending).toBe('ended');
  await noKeyLeft();
});

it('is fenced where another worker has it by now: it lives on there, and nothing is queued', async () => {
  const world = use();
  const worker = await world.worker('a');
  const other = await world.worker('b');
  const session = await openWithBackend(worker);
  await worker.die();
  const taken = await other.claim(session);
  expect(await worker.ender.end(session, 'deleted')).toBe('fenced');
  expect(worker.table.size).toBe(0);
  expect(worker.ended).toEqual([]);
  expect(worker.queue.jobs).toEqual([]);
  expect(taken?.mayAct()).toBe(true);
  expect(await world.field(session.facts.ref, 'state')).toBe('active');
});

it('tries the queue again until it answers', async () => {
  const world = use();
  const worker = await world.worker('a');
  const session = await openWithBackend(worker);
  worker.queue.fails = true;
  await worker.ender.end(session, 'deleted');
  await waitFor('the session to be among those that end', () =>
    world.redis.zscore(world.keys.ending, session.facts.ref).then((score) => score !== null),
  );
  worker.queue.fails = false;
  await waitFor('the job', () => {
    world.clock.advance(1000);
    return worker.queue.jobs.length === 1;
  });
  await noKeyLeft();
});

it('leaves a queue that stays silent to the sweep, which any worker makes', async () => {
  const world = use();
  const worker = await world.worker('a');
  const session = await openWithBackend(worker);
  worker.queue.fails = true;
  await worker.ender.end(session, 'deleted');
  await waitFor('a to give up', () => {
    world.clock.advance(1000);
    return worker.warnings.length > 0;
  });
  expect(worker.warnings).toEqual(['ending a session is left to the sweep']);
  const other = await world.worker('b');
  await other.sweep.makeRoom();
  // As long as it lives the jobs are its own: it was told, and tries again.
  expect(worker.told).toEqual([`closing ${session.facts.ref}`]);
  expect(other.queue.jobs).toEqual([]);
  await worker.die();
  await world.redis.del(world.keys.forcedSweep);
  await other.sweep.makeRoom();
  await noKeyLeft();
  expect(other.queue.jobs.map((job) => job.sessionRef)).toEqual([session.facts.ref]);
});

it('ends the backend sessions that memory knows where Redis lost the record', async () => {
  const world = use();
  const worker = await world.worker('a');
  const session = await openWithBackend(worker);
  session.backends.set('tickets', backendSession(false, backendRecord()));
  session.backends.set('local', backendSession(true, backendRecord(1, 'stdio')));
  await world.redis.del(await world.redis.keys(`${world.prefix}*`));
  expect(await worker.ender.end(session, 'deleted')).toBe('ended');
  expect(worker.ended).toEqual(['deleted']);
  await noKeyLeft();
  expect(worker.queue.jobs).toEqual([
    { backend: 'tickets', sessionRef: session.facts.ref, generation: 1, protocolVersion: '2025-06-18', sealed: 'sealed-1' },
  ]);
});

it('does not try for ever where the record cannot be read: memory knows what to end, and no key is left', async () => {
  const world = use();
  const worker = await world.worker('a');
  const session = await openWithBackend(worker);
  session.backends.set('tickets', backendSession(false, backendRecord()));
  await world.redis.hset(world.keys.session(session.facts.ref), 'client', '{');
  expect(await worker.ender.end(session, 'deleted')).toBe('ended');
  await noKeyLeft();
  expect(worker.queue.jobs).toHaveLength(1);
  expect(worker.warnings).toEqual(['the record of a session that ends cannot be read']);
});
