// A reload removed or changed a backend: what a living session has open there is torn down and forgotten, whatever crashes in between.
import { DirectoryUnavailable } from '../../../src/directory/directory.js';
import type { CallInFlight, Session } from '../../../src/sessions/session.js';
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import { backendRecord, makeGate, SERVER, type TestWorker } from './world.js';

const use = useWorld();

/** A session with one backend session, saved. */
async function open(worker: TestWorker) {
  const session = await worker.open();
  worker.sessionBackends.get(session, 'tickets');
  const { host } = worker;
  expect(await host?.save(0, backendRecord(1))).toBe('saved');
  return { session, host, job: { backend: 'tickets', sessionRef: session.facts.ref, ...jobOf(1) } };
}

const jobOf = (generation: number) => {
  const { transport: _t, capabilities: _c, ...rest } = backendRecord(generation);
  return rest;
};

const savedOf = async (worker: TestWorker, session: Session) => {
  const read = await worker.directory.readSession(session.facts.ref);
  return read.kind === 'found' ? read.record.backends : read.kind;
};

/** Time goes on until it is so. */
const until = (what: string, isSo: () => boolean | Promise<boolean>) =>
  waitFor(what, async () => {
    use().clock.advance(250);
    return isSo();
  });

const left = (session: Session) => until('the backend session to leave', () => session.former?.leaving.size === 0);

function callOf(session: Session): CallInFlight {
  const answer = { message: () => true, cancel: () => true, fail: () => undefined };
  const call = { id: 1, backend: 'tickets', progressToken: undefined, running: undefined, answer };
  session.calls.add(call);
  return call;
}

it('is queued for teardown and forgotten; its successor counts on', async () => {
  const worker = await use().worker('a');
  const { session, job } = await open(worker);
  worker.sessionBackends.end(session, 'tickets');
  await left(session);
  expect(worker.queue.jobs).toEqual([job]);
  expect(worker.queue.delayed).toEqual([]);
  expect(await savedOf(worker, session)).toEqual({});
  expect(session.state).toBe('active');
  worker.sessionBackends.get(session, 'tickets');
  expect(await worker.host?.save(0, { ...backendRecord(1), sealed: 'at the new place' })).toBe('saved');
  expect(await savedOf(worker, session)).toMatchObject({ tickets: { generation: 2, sealed: 'at the new place' } });
  expect(await worker.host?.save(1, { ...backendRecord(2), sealed: 'recovered there' })).toBe('saved');
  expect(await savedOf(worker, session)).toMatchObject({ tickets: { generation: 3, sealed: 'recovered there' } });
});

it('is queued before its successor is saved, which would overwrite the only trace of it', async () => {
  const worker = await use().worker('a');
  const { session, job } = await open(worker);
  worker.queue.fails = true;
  worker.sessionBackends.end(session, 'tickets');
  worker.sessionBackends.get(session, 'tickets');
  const saved = worker.host?.save(0, { ...backendRecord(1), sealed: 'at the new place' });
  await until('the queue to be tried', () => worker.queue.tries > 1);
  expect(await savedOf(worker, session)).toEqual({ tickets: backendRecord(1) });
  worker.queue.fails = false;
  await left(session);
  expect(await saved).toBe('saved');
  expect(worker.queue.jobs).toEqual([job]);
  expect(await savedOf(worker, session)).toMatchObject({ tickets: { generation: 2 } });
});

describe.each([
  [
    'before its job is queued',
    (worker: TestWorker): void => {
      worker.queue.fails = true;
    },
    0,
  ],
  [
    'after its job is queued',
    (worker: TestWorker): void => {
      worker.before = (verb) => {
        if (verb === 'dropBackendSession') throw new DirectoryUnavailable('told to fail');
      };
    },
    1,
  ],
] as const)('when the worker dies %s', (_when, breakIt, queued) => {
  it.each(['another backend now', 'removed'] as const)('the next owner does it (%s)', async (how) => {
    const world = use();
    const [a, b] = [await world.worker('a'), await world.worker('b')];
    const { session, job } = await open(a);
    breakIt(a);
    a.sessionBackends.end(session, 'tickets');
    await until('the attempt to fail', () => a.queue.tries > 0);
    await a.die();
    expect(a.queue.jobs).toHaveLength(queued);
    if (how === 'removed') {
      b.backends.clear();
      b.server = { ...SERVER, backends: [] };
    } else b.former.add(backendRecord(1).sealed);
    const claimed = await b.claim(session);
    expect(b.restored).toEqual([]);
    await left(claimed as Session);
    expect(b.queue.jobs).toEqual([job]);
    expect(await savedOf(b, session)).toEqual({});
    expect(b.ended).toEqual([]);
  });
});

it('is left to the next owner, who took the session over meanwhile', async () => {
  const world = use();
  const [a, b] = [await world.worker('a'), await world.worker('b')];
  const { session } = await open(a);
  const gate = makeGate();
  a.before = (verb) => (verb === 'dropBackendSession' ? gate.passed : undefined);
  a.sessionBackends.end(session, 'tickets');
  await until('the drop to be sent', () => a.verbs.includes('dropBackendSession'));
  await a.loseLease();
  await b.claim(session);
  gate.open();
  await left(session);
  // The pods differ for a moment: for this one the backend is still the same.
  expect(await savedOf(b, session)).toEqual({ tickets: backendRecord(1) });
});

it('ends with the session, if that ends first', async () => {
  const worker = await use().worker('a');
  const { session, job } = await open(worker);
  worker.queue.fails = true;
  worker.sessionBackends.end(session, 'tickets');
  await worker.ender.end(session, 'deleted');
  worker.queue.fails = false;
  await until('the end of the session', async () => (await savedOf(worker, session)) === 'gone');
  expect(worker.queue.jobs).toEqual([job]);
});

it('is not forgotten when Redis loses the record before its teardown is queued', async () => {
  const world = use();
  const worker = await world.worker('a');
  const { session, job } = await open(worker);
  worker.queue.fails = true;
  worker.sessionBackends.end(session, 'tickets');
  await until('the queue to be tried', () => worker.queue.tries > 0);
  await world.redis.del(world.keys.session(session.facts.ref));
  await worker.ender.end(session, 'deleted');
  worker.queue.fails = false;
  await until('its teardown', () => worker.queue.jobs.length > 0);
  expect(worker.queue.jobs).toEqual([job]);
});

it('waits for the calls that had begun in it; then its teardown does not wait any longer', async () => {
  const world = use();
  const worker = await world.worker('a');
  const { session, job } = await open(worker);
  const call = callOf(session);
  worker.sessionBackends.end(session, 'tickets');
  await left(session);
  expect(worker.queue.delayed).toEqual([job]);
  expect(session.former?.retired.size).toBe(1);
  // One of its successor is not waited for.
  callOf(session);
  session.calls.delete(call);
  world.clock.advance(50);
  expect(session.former?.retired.size).toBe(0);
  expect(worker.queue.hastened).toEqual([job]);
});

it('is closed when its calls take longer than any may', async () => {
  const world = use();
  const worker = await world.worker('a');
  const { session } = await open(worker);
  callOf(session);
  worker.sessionBackends.end(session, 'tickets');
  world.clock.advance(60_100);
  expect(session.former?.retired.size).toBe(0);
});

it('that is opened only after it left never comes into the record: its teardown is queued before anything is sent with its id', async () => {
  const worker = await use().worker('a');
  const session = await worker.open();
  worker.sessionBackends.get(session, 'tickets');
  const { host } = worker;
  callOf(session);
  worker.sessionBackends.end(session, 'tickets');
  await left(session);
  expect(await host?.save(0, backendRecord(1))).toBe('saved');
  expect(worker.queue.delayed).toHaveLength(1);
  expect(await savedOf(worker, session)).toEqual({});
  worker.queue.fails = true;
  expect(await host?.save(1, backendRecord(2))).toBe('refused');
});

it('that was being saved when it left is torn down as well', async () => {
  const worker = await use().worker('a');
  const session = await worker.open();
  worker.sessionBackends.get(session, 'tickets');
  const gate = makeGate();
  worker.before = (verb) => (verb === 'saveBackendSession' ? gate.passed : undefined);
  const saved = worker.host?.save(0, backendRecord(1));
  await waitFor('the save to be sent', () => worker.verbs.includes('saveBackendSession'));
  worker.sessionBackends.end(session, 'tickets');
  gate.open();
  expect(await saved).toBe('saved');
  await left(session);
  expect(worker.queue.jobs).toHaveLength(1);
  expect(await savedOf(worker, session)).toEqual({});
});

it('that only got other settings goes on: nothing is queued, its successor has its id', async () => {
  const worker = await use().worker('a');
  const { session } = await open(worker);
  worker.sessionBackends.adjust(session, 'tickets');
  expect(worker.restored).toEqual([backendRecord(1)]);
  expect(await worker.host?.save(1, backendRecord(2))).toBe('saved');
  expect(worker.queue.jobs).toEqual([]);
  expect(await savedOf(worker, session)).toEqual({ tickets: backendRecord(2) });
});

it('of a process is forgotten without a job', async () => {
  const worker = await use().worker('a');
  const session = await worker.open();
  worker.sessionBackends.get(session, 'tickets');
  await worker.host?.save(0, backendRecord(1, 'stdio'));
  worker.sessionBackends.end(session, 'tickets');
  await left(session);
  expect(worker.queue.jobs).toEqual([]);
  expect(await savedOf(worker, session)).toEqual({});
});

it('leaves a few at a time: a reload concerns all sessions at once, and the lease has to be renewed meanwhile', async () => {
  const worker = await use().worker('a');
  const sessions: Session[] = [];
  for (let i = 0; i < 100; i++) sessions.push((await open(worker)).session);
  let running = 0;
  let most = 0;
  const add = worker.queue.add.bind(worker.queue);
  worker.queue.add = async (jobs, delayMs) => {
    most = Math.max(most, ++running);
    await add(jobs, delayMs);
    await new Promise<void>((resolve) => setImmediate(resolve));
    running--;
  };
  for (const session of sessions) worker.sessionBackends.end(session, 'tickets');
  await until('all to leave', () => sessions.every((session) => session.former?.leaving.size === 0));
  expect(most).toBe(32);
  expect(worker.queue.jobs).toHaveLength(100);
});
