// Redis comes back without its last writes: whoever owned a session then owns it still, whatever an older record says, nobody else
// begins before, and what was ended stays ended (rule 10).
import { markOf } from '../../../src/sessions/question-id.js';
import type { Session } from '../../../src/sessions/session.js';
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import { backendRecord, backendSession, LEASE_MS, type Snapshot, type TestWorker, type World } from './world.js';

const use = useWorld();

/** The connections break, the data goes back, the connections are opened anew. */
async function comeBackWith(world: World, snapshot: Snapshot, workers: readonly TestWorker[]): Promise<void> {
  for (const worker of workers) worker.reconnect.lost();
  await world.restore(snapshot);
  for (const worker of workers) worker.reconnect.back();
}

/** While time goes on a little, by `stepMs` for each look. */
const eventually = (world: World, what: string, look: () => boolean, stepMs = 10) =>
  waitFor(what, () => {
    world.clock.advance(stepMs);
    return look();
  });

const verified = (worker: TestWorker) =>
  waitFor(
    () => `a verification by ${worker.keeper.id}`,
    () => worker.reclaimed.some(({ cause }) => cause === 'reconnected'),
  );

/** b took over from a, after the snapshot that Redis comes back with. */
async function takenOverSince(world: World) {
  const [a, b, c] = [await world.worker('a'), await world.worker('b'), await world.worker('c')];
  const opened = await a.open();
  const snapshot = await world.snapshot();
  await a.die();
  const session = (await b.claim(opened)) as Session;
  return { a, b, c, session, snapshot };
}

it('leaves a session to its owner when the record names the dead one before him', async () => {
  const world = use();
  const { a, b, c, session, snapshot } = await takenOverSince(world);
  await comeBackWith(
    world,
    snapshot.filter(({ name }) => !name.includes(a.keeper.id)),
    [b, c],
  );
  await verified(b);
  expect(session.token).toEqual({ owner: b.keeper.id, epoch: 3 });
  expect(session.mayAct()).toBe(true);
  expect(await c.route(session)).toMatchObject({ kind: 'forward', owner: { token: session.token } });
});

it('suspends it while the lease of the one before seems to live, and then goes on', async () => {
  const world = use();
  const { a, b, c, session, snapshot } = await takenOverSince(world);
  await comeBackWith(world, snapshot, [b, c]);
  await waitFor('the session to be suspended', () => session.state === 'reclaiming');
  expect(session.mayAct()).toBe(false);
  await world.redis.del(world.keys.lease(a.keeper.id));
  await eventually(world, 'the session to be served again', () => session.mayAct());
  expect(session.token).toEqual({ owner: b.keeper.id, epoch: 3 });
});

it('lets nobody claim what the older record calls free before every owner could verify', async () => {
  const world = use();
  const { a, b, c, session, snapshot } = await takenOverSince(world);
  // b is slower to come back.
  for (const worker of [b, c]) worker.reconnect.lost();
  await world.restore(snapshot.filter(({ name }) => !name.includes(a.keeper.id)));
  expect(await c.route(session)).toEqual({ kind: 'hold', cause: 'lease' });
  c.reconnect.back();
  await waitFor('c to know that the data is another', () => c.verbs.includes('identifyData'));
  expect(await c.route(session)).toEqual({ kind: 'hold', cause: 'lease' });
  expect(session.mayAct()).toBe(true);
});

it('suspends what could not be verified before the guard of the time before ended', async () => {
  const world = use();
  const { b, c, session, snapshot } = await takenOverSince(world);
  b.before = (verb) => (verb === 'verifySessions' ? new Promise(() => undefined) : undefined);
  await comeBackWith(world, snapshot, [b, c]);
  world.clock.advance((LEASE_MS * 5) / 6 - 1);
  expect(b.keeper.isValid() || session.state === 'active').toBe(true);
  await eventually(world, 'the session to be suspended', () => session.state === 'reclaiming', 1);
  expect(session.mayAct()).toBe(false);
});

it('claims freely again when the server is the one it was', async () => {
  const world = use();
  const [a, b] = [await world.worker('a'), await world.worker('b')];
  const session = await a.open();
  await a.die();
  b.reconnect.lost();
  expect(await b.route(session)).toEqual({ kind: 'hold', cause: 'lease' });
  b.reconnect.back();
  await waitFor('claims to be allowed', () => b.keeper.mayTakeOver());
  expect(await b.route(session)).toMatchObject({ kind: 'takeOver' });
});

it('writes a session anew that the older data does not know, with its places', async () => {
  const world = use();
  const b = await world.worker('b');
  const snapshot = await world.snapshot();
  const session = await b.open();
  session.backends.set('tickets', backendSession(false, backendRecord(2)));
  for (const mark of ['first', 'second']) session.noteAnswered(mark);
  session.noteAsked('question');
  await comeBackWith(world, snapshot, [b]);
  await verified(b);
  expect(session.mayAct()).toBe(true);
  const read = await b.directory.readSession(session.facts.ref);
  expect(read).toMatchObject({ kind: 'found', record: { ...session.token, backends: { tickets: backendRecord(2) } } });
  expect(read).toMatchObject({ record: { answered: ['first', 'second'], asked: ['question'] } });
  expect(await b.directory.countSessions()).toBe(1);
  expect(await world.redis.zcard(world.keys.principal(session.facts.principal))).toBe(1);
});

it('saves a backend session again that the older record does not know, and serves the session meanwhile', async () => {
  const world = use();
  const b = await world.worker('b');
  const session = await b.open();
  const snapshot = await world.snapshot();
  session.backends.set('tickets', backendSession(false, backendRecord(1)));
  await b.directory.saveBackendSession(session.facts.ref, session.token, 'tickets', 0, backendRecord(1));
  await comeBackWith(world, snapshot, [b]);
  expect(session.mayAct()).toBe(true);
  await verified(b);
  const read = await b.directory.readSession(session.facts.ref);
  expect(read).toMatchObject({ kind: 'found', record: { ...session.token, backends: { tickets: backendRecord(1) } } });
  expect(session.mayAct()).toBe(true);
});

it('marks answers again that the older record does not know, so that the next owner delivers none twice', async () => {
  const world = use();
  const b = await world.worker('b');
  const session = await b.open();
  const note = async (mark: string) => {
    session.noteAnswered(mark);
    await b.directory.noteAnswered(session.facts.ref, session.token, mark);
  };
  await note('first');
  const snapshot = await world.snapshot();
  for (const mark of ['second', 'third']) await note(mark);
  await comeBackWith(world, snapshot, [b]);
  await verified(b);
  await b.die();
  const c = await world.worker('c');
  expect([...((await c.claim(session))?.answered ?? [])]).toEqual(['first', 'second', 'third']);
});

it('notes questions again that the older record does not know, so that they can be taken back through the next owner', async () => {
  const world = use();
  const b = await world.worker('b');
  const session = await b.open();
  const { ref } = session.facts;
  const snapshot = await world.snapshot();
  const [open, answered] = ['sealed id', 'answered id'];
  for (const ours of [open, answered]) {
    session.noteAsked(ours);
    await b.directory.noteAsked(ref, session.token, ours);
  }
  session.asked?.delete(answered);
  session.noteAnswered(markOf(answered));
  await comeBackWith(world, snapshot, [b]);
  await verified(b);
  // What was answered needs its mark alone, also where the record still has its id.
  expect(await b.directory.readSession(ref)).toMatchObject({ record: { asked: [open], answered: [markOf(answered)] } });
  await b.directory.noteAsked(ref, session.token, answered);
  await b.die();
  const c = await world.worker('c');
  expect((await c.claim(session))?.asked?.all).toEqual([open]);
});

it('drops a session that the older data gave to a living worker', async () => {
  const world = use();
  const [a, b] = [await world.worker('a'), await world.worker('b')];
  const opened = await a.open();
  const snapshot = await world.snapshot();
  // a released it, as in a drain that was called off.
  await a.directory.releaseSession(opened.facts.ref, opened.token);
  a.table.remove(opened);
  const session = (await b.claim(opened)) as Session;
  await comeBackWith(world, snapshot, [a, b]);
  await waitFor('the session to be suspended', () => session.state === 'reclaiming');
  await eventually(world, 'the session to be dropped', () => session.state === 'released', LEASE_MS / 20);
  expect(b.table.get(session.facts.id)).toBeUndefined();
  expect(await a.route(session)).toMatchObject({ kind: 'takeOver', from: { owner: a.keeper.id, epoch: 1 } });
});

it('ends again what was ended, also where the older data has it taken over', async () => {
  const world = use();
  const [a, b] = [await world.worker('a'), await world.worker('b')];
  const session = await a.open();
  const snapshot = await world.snapshot();
  await a.ender.end(session, 'deleted');
  await a.ender.settle(1000);
  await comeBackWith(world, snapshot, [a, b]);
  await waitFor('the record to be gone', async () => (await world.redis.exists(world.keys.session(session.facts.ref))) === 0);
  expect((await b.route(session)).kind).not.toBe('takeOver');
  await waitFor('nothing to be left', async () => (await world.sessionKeys()).length === 0);
});

it('forgets what was ended more than a minute ago', async () => {
  const world = use();
  const a = await world.worker('a');
  const old = await a.open();
  await a.ender.end(old, 'deleted');
  await a.ender.settle(1000);
  world.clock.advance(61_000);
  await waitFor('the lease', () => a.keeper.isValid());
  const late = await a.open();
  await a.ender.end(late, 'deleted');
  await a.ender.settle(1000);
  a.verbs.length = 0;
  a.ender.endAgain();
  await a.ender.settle(1000);
  expect(a.verbs.filter((verb) => verb === 'closeSession')).toHaveLength(1);
});

it('queues the jobs of a session whose record went while the worker was suspended', async () => {
  const world = use();
  const a = await world.worker('a');
  const session = await a.open();
  session.backends.set('tickets', backendSession(false, backendRecord(4)));
  await world.redis.flushall();
  await a.lapse();
  await eventually(world, 'a job', () => a.queue.jobs.length > 0, LEASE_MS / 100);
  expect(a.queue.jobs).toMatchObject([{ backend: 'tickets', sessionRef: session.facts.ref, generation: 4 }]);
});

it('gives up what is suspended for a minute, and leaves the record to whoever comes', async () => {
  const world = use();
  const a = await world.worker('a');
  const session = await a.open();
  a.before = (verb) => (verb === 'renewLease' ? new Promise(() => undefined) : undefined);
  world.clock.stepWall(LEASE_MS);
  world.clock.advance(LEASE_MS / 3);
  await waitFor('the lapse to be told', () => session.state === 'reclaiming');
  world.clock.advance(60_000);
  expect(session.state).toBe('released');
  const read = await a.directory.readSession(session.facts.ref);
  expect(read).toMatchObject({ kind: 'found', record: { state: 'active', epoch: 1 } });
});

it('keeps claims forbidden when the connection flaps once more after other data came back', async () => {
  const world = use();
  const [a, b] = [await world.worker('a'), await world.worker('b')];
  const session = await a.open();
  const snapshot = await world.snapshot();
  await a.die();
  await comeBackWith(
    world,
    snapshot.filter(({ name }) => !name.includes(a.keeper.id)),
    [b],
  );
  await waitFor(
    'b to know that the data is another',
    () => b.keeper.isDataSettled() === false && b.verbs.includes('identifyData'),
  );
  b.reconnect.lost();
  b.reconnect.back();
  await eventually(world, 'b to compare again', () => b.verbs.filter((verb) => verb === 'identifyData').length > 2, 1);
  expect(await b.route(session)).toEqual({ kind: 'hold', cause: 'lease' });
});

it('suspends what it cannot verify when the guard of the loss ends, also if the lease is renewed elsewhere', async () => {
  const world = use();
  const a = await world.worker('a');
  const session = await a.open();
  // As on a Cluster: the server of the records is away, that of the lease is not.
  a.reconnect.lost();
  for (let i = 0; i < 3; i++) {
    world.clock.advance(LEASE_MS / 3);
    await waitFor('a renewal', () => a.keeper.remainingMs() > (LEASE_MS * 2) / 3);
  }
  expect(a.keeper.isValid()).toBe(true);
  expect(session.mayAct()).toBe(false);
  a.reconnect.back();
  await waitFor('the session to be verified', () => session.mayAct());
});

it('ends at the backends also what the older record does not know', async () => {
  const world = use();
  const a = await world.worker('a');
  const session = await a.open();
  session.backends.set('tickets', backendSession(false, backendRecord(7)));
  await a.ender.end(session, 'deleted');
  await waitFor('the job', () => a.queue.jobs.length > 0);
  expect(a.queue.jobs).toMatchObject([{ backend: 'tickets', generation: 7 }]);
});
