// DESIGN 6, growth: what nobody uses is given up, so that whoever gets its next request goes on with it. Nothing else is.
import type { Session } from '../../../src/sessions/session.js';
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import { backendRecord, backendSession, IDLE_MS, makeGate, RELEASE_MS, type TestWorker } from './world.js';

const use = useWorld();

async function begin(name: string): Promise<TestWorker> {
  const worker = await use().worker(name);
  worker.idleRelease.start();
  return worker;
}

/** Time goes by until `done`, or for three times the limit. */
async function pass(done: () => boolean = () => false): Promise<void> {
  const { clock } = use();
  const untilMs = clock.monotonicMs() + 3 * RELEASE_MS;
  await waitFor('time to pass', () => {
    clock.advance(100);
    return done() || clock.monotonicMs() > untilMs;
  });
}

function released(session: Session): boolean {
  return session.state === 'released';
}

it('gives up what was not used for so long, and the next worker goes on with the same backend session', async () => {
  const worker = await begin('a');
  const other = await use().worker('b');
  const session = await worker.open();
  await worker.directory.saveBackendSession(session.facts.ref, session.token, 'tickets', 0, backendRecord());
  const lastUsedMs = session.lastUsedMs;
  await pass(() => worker.released > 0);
  expect(use().clock.wallMs() - lastUsedMs).toBeGreaterThanOrEqual(RELEASE_MS);
  expect(worker.table.size).toBe(0);
  expect(await other.route(session)).toMatchObject({ kind: 'takeOver', from: { owner: '', epoch: 1 } });
  expect((await other.claim(session))?.token).toEqual({ owner: other.keeper.id, epoch: 2 });
  expect(other.restored).toEqual([backendRecord()]);
});

it('keeps what is in use: a request, a stream, a stdio child, and whatever was used since', async () => {
  const worker = await begin('a');
  await use().worker('b');
  const [busy, streaming, bound, fresh, idle] = await Promise.all([1, 2, 3, 4, 5].map(() => worker.open()));
  if (!busy || !streaming || !bound || !fresh || !idle) throw new Error('five were opened');
  busy.inFlight++;
  streaming.standalone = {} as Session['standalone'];
  bound.backends.set('local', backendSession(true));
  await pass(() => {
    fresh.lastUsedMs = use().clock.wallMs();
    return released(idle);
  });
  await pass(() => {
    fresh.lastUsedMs = use().clock.wallMs();
    return false;
  });
  expect([busy, streaming, bound, fresh].map((session) => session.state)).toEqual(Array(4).fill('active'));
  expect(worker.released).toBe(1);
});

it('gives nothing up while nobody else lives, or everybody else drains', async () => {
  const worker = await begin('a');
  const session = await worker.open();
  await pass();
  const leaving = await use().worker('b');
  await leaving.keeper.setDraining();
  await pass();
  expect(released(session)).toBe(false);
  await use().worker('c');
  await pass(() => released(session));
  expect(released(session)).toBe(true);
});

it('lets a request that arrives while Redis is asked have its session', async () => {
  const worker = await begin('a');
  await use().worker('b');
  const session = await worker.open();
  const asked = makeGate();
  const gate = makeGate();
  worker.before = (verb) => {
    if (verb !== 'listWorkers') return undefined;
    asked.open();
    return gate.passed;
  };
  await pass(() => worker.verbs.includes('listWorkers'));
  await asked.passed;
  session.inFlight++;
  session.lastUsedMs = use().clock.wallMs();
  gate.open();
  await waitFor('the workers to be listed', () => worker.verbs.filter((verb) => verb === 'listWorkers').length > 1, 200).catch(
    () => undefined,
  );
  expect(released(session)).toBe(false);
  expect(worker.table.size).toBe(1);
});

it('tells the last use before it forgets the session, so that it does not expire too early', async () => {
  const world = use();
  const worker = await begin('a');
  await world.worker('b');
  const session = await worker.open();
  world.clock.advance(1000);
  session.lastUsedMs = world.clock.wallMs();
  await pass(() => worker.released > 0);
  const score = Number(await world.redis.zscore(world.keys.expiry, session.facts.ref));
  expect(score).toBe(session.lastUsedMs + IDLE_MS);
  expect(worker.verbs.indexOf('touchSessions')).toBeLessThan(worker.verbs.indexOf('releaseSession'));
});

it('of a session that nobody came back to: the sweep of any worker ends it and its backend session', async () => {
  const world = use();
  const worker = await begin('a');
  const other = await world.worker('b');
  const session = await worker.open();
  await worker.directory.saveBackendSession(session.facts.ref, session.token, 'tickets', 0, backendRecord());
  await pass(() => worker.released > 0);
  await world.expire(session);
  await other.sweep.makeRoom();
  await waitFor('the record to go', async () => (await world.redis.exists(world.keys.session(session.facts.ref))) === 0);
  expect(other.ended).toEqual(['idle']);
  expect(other.queue.jobs).toMatchObject([{ backend: 'tickets', sessionRef: session.facts.ref }]);
});

it('leaves jobs for a session whose record went with the data of Redis', async () => {
  const world = use();
  const [worker] = [await world.worker('a'), await world.worker('b')];
  const session = await worker.open();
  session.backends.set('tickets', backendSession(false, backendRecord(3)));
  await world.redis.del(world.keys.session(session.facts.ref));
  worker.idleRelease.start();
  await waitFor('the job', () => {
    world.clock.advance(RELEASE_MS / 4);
    return worker.queue.jobs.length > 0;
  });
  expect(worker.queue.jobs).toMatchObject([{ backend: 'tickets', generation: 3 }]);
  worker.idleRelease.stop();
});
