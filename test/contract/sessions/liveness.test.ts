// Idle time: told to the index while a session is used, and ended by its owner's own clock. What streams remember ages with it.
import { DirectoryUnavailable } from '../../../src/directory/directory.js';
import type { Session } from '../../../src/sessions/session.js';
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import { IDLE_MS, LEASE_MS, makeGate, type TestWorker } from './world.js';

const use = useWorld();
const TICK_MS = 30_000;

/** One tick of liveness, with a lease that stays renewed. */
async function tick(worker: TestWorker): Promise<void> {
  for (let passedMs = 0; passedMs < TICK_MS; passedMs += LEASE_MS / 6) {
    worker.world.clock.advance(LEASE_MS / 6);
    await waitFor('the lease to be renewed', () => worker.keeper.remainingMs() >= LEASE_MS / 2);
  }
}

const scoreOf = async (worker: TestWorker, session: { facts: { ref: string } }) =>
  Number(await worker.world.redis.zscore(worker.world.keys.expiry, session.facts.ref));

it('ends what was not used for the idle limit, by its own clock', async () => {
  const worker = await use().worker('a');
  const session = await worker.open();
  worker.liveness.start();
  session.lastUsedMs = worker.world.clock.wallMs() - IDLE_MS;
  await tick(worker);
  await waitFor('the session to end', () => worker.ended.includes('idle'));
  expect(session.state).toBe('ended');
  worker.liveness.stop();
});

it('ends very many a few at a time, and none that is used while it waits for its turn', async () => {
  const worker = await use().worker('a');
  const sessions = await Promise.all(Array.from({ length: 100 }, () => worker.open()));
  const gate = makeGate();
  worker.before = (verb) => (verb === 'closeSession' ? gate.passed : undefined);
  const used = sessions.at(-1) as Session;
  for (const session of sessions) session.lastUsedMs = worker.world.clock.wallMs() - IDLE_MS;
  worker.liveness.start();
  await tick(worker);
  expect(sessions.filter((session) => session.state === 'ended')).toHaveLength(64);
  used.lastUsedMs = worker.world.clock.wallMs();
  gate.open();
  await waitFor('the others', () => worker.table.size === 1);
  expect(used.state).toBe('active');
  worker.liveness.stop();
});

it('looks at all of many, slice by slice, and tells of each that was used', async () => {
  const worker = await use().worker('a', { maxSessions: 3000, maxPerPrincipal: 3000 });
  const sessions = await Promise.all(Array.from({ length: 2500 }, () => worker.open()));
  worker.liveness.start();
  const told: number[] = [];
  const touch = worker.directory.touchSessions.bind(worker.directory);
  worker.directory.touchSessions = (entries) => {
    told.push(entries.length);
    return touch(entries);
  };
  for (const session of sessions) session.lastUsedMs = worker.world.clock.wallMs() + 1;
  await tick(worker);
  await waitFor('the tick', () => told.length === 1);
  expect(told).toEqual([2500]);
  worker.liveness.stop();
}, 30_000);

it('ends nothing a moment before', async () => {
  const worker = await use().worker('a');
  const session = await worker.open();
  worker.liveness.start();
  session.lastUsedMs = worker.world.clock.wallMs() - IDLE_MS + TICK_MS + 1;
  await tick(worker);
  expect(session.state).toBe('active');
  worker.liveness.stop();
});

it('tells the index what was used since the last tick, in one command, and nothing else', async () => {
  const world = use();
  const worker = await world.worker('a');
  const [used, quiet] = [await worker.open(), await worker.open()];
  worker.liveness.start();
  await tick(worker);
  const before = await scoreOf(worker, quiet);
  worker.verbs.length = 0;
  used.lastUsedMs = world.clock.wallMs() + 1000;
  await tick(worker);
  await waitFor('the used session to be told', async () => (await scoreOf(worker, used)) === used.lastUsedMs + IDLE_MS);
  expect(await scoreOf(worker, quiet)).toBe(before);
  expect(worker.verbs.filter((verb) => verb === 'touchSessions')).toHaveLength(1);
  worker.liveness.stop();
});

it.each(['a stream', 'a call'])('%s that is open is use', async (what) => {
  const world = use();
  const worker = await world.worker('a');
  const session = await worker.open();
  if (what === 'a call') session.inFlight++;
  else session.standalone = session.streams.standalone;
  session.lastUsedMs = world.clock.wallMs() - IDLE_MS;
  worker.liveness.start();
  await tick(worker);
  expect(session.state).toBe('active');
  await waitFor('the session to be told', async () => (await scoreOf(worker, session)) === world.clock.wallMs() + IDLE_MS);
  worker.liveness.stop();
});

it('ends nothing while the lease is away', async () => {
  const world = use();
  const worker = await world.worker('a');
  const session = await worker.open();
  session.lastUsedMs = world.clock.wallMs() - IDLE_MS;
  worker.before = (verb) => {
    if (verb === 'renewLease') throw new DirectoryUnavailable(new Error('away'));
  };
  worker.liveness.start();
  world.clock.stepWall(LEASE_MS);
  world.clock.advance(TICK_MS);
  expect(worker.verbs).not.toContain('closeSession');
  expect(session.state).not.toBe('ended');
  worker.liveness.stop();
});

it('tells again what it could not tell', async () => {
  const world = use();
  const worker = await world.worker('a');
  const session = await worker.open();
  worker.liveness.start();
  const touched: boolean[] = [];
  let away = true;
  worker.before = (verb) => {
    if (verb !== 'touchSessions') return;
    touched.push(!away);
    // The verb itself fails as Redis does: nothing of it arrives.
    if (away) throw new DirectoryUnavailable(new Error('away'));
  };
  session.lastUsedMs = world.clock.wallMs() + 1;
  await tick(worker);
  await waitFor('the first try', () => touched.length === 1);
  away = false;
  await tick(worker);
  await waitFor('the second try', () => touched.length === 2);
  await waitFor('the index to know', async () => (await scoreOf(worker, session)) === session.lastUsedMs + IDLE_MS);
  worker.liveness.stop();
});

it('lets go what idle sessions remember of streams that are over', async () => {
  const worker = await use().worker('a');
  const session = await worker.open();
  session.streams.openCall(1).push('"result"', true);
  worker.liveness.start();
  await tick(worker);
  await tick(worker);
  expect(session.streams.findCall(1)).toBeDefined();
  await tick(worker);
  expect(session.streams.findCall(1)).toBeUndefined();
  expect(worker.table.eventBudget.bytes).toBe(0);
  worker.liveness.stop();
});
