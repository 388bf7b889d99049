// The record writer of backend sessions: what a backend issued is saved whatever becomes of an answer, as long as the session is ours.
import { DirectoryUnavailable } from '../../../src/directory/directory.js';
import type { Session } from '../../../src/sessions/session.js';
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import { backendRecord, type TestWorker } from './world.js';

const use = useWorld();

async function open(worker: TestWorker) {
  const session = await worker.open();
  worker.sessionBackends.get(session, 'tickets');
  return { session, save: (generation: number) => worker.host?.save(generation - 1, backendRecord(generation)) };
}

const savedOf = async (worker: TestWorker, session: Session) => {
  const read = await worker.directory.readSession(session.facts.ref);
  return read.kind === 'found' ? read.record.backends.tickets : read.kind;
};

/** The next save counts, but its answer is lost. */
function loseAnswer(worker: TestWorker, save: () => Promise<unknown>): void {
  worker.before = async (verb) => {
    if (verb !== 'saveBackendSession') return;
    worker.before = undefined;
    await save();
    throw new DirectoryUnavailable('told to fail');
  };
}

it('is saved once the session was claimed back, when the guard ended under a silent Redis', async () => {
  const world = use();
  const worker = await world.worker('a');
  const { session, save } = await open(worker);
  loseAnswer(worker, async () => worker.reclaim.suspend());
  const saved = save(1);
  await waitFor('the session to be suspended', () => session.state === 'reclaiming');
  world.clock.advance(100);
  expect(await savedOf(worker, session)).toBeUndefined();
  worker.reclaim.resume();
  const outcome = await waitFor('the save', async () => {
    world.clock.advance(100);
    return Promise.race([saved, undefined]);
  });
  expect(outcome).toBe('saved');
  expect(await savedOf(worker, session)).toEqual(backendRecord(1));
});

it('replaces what an earlier save left behind that was given up', async () => {
  const world = use();
  const worker = await world.worker('a');
  const { session, save } = await open(worker);
  const left = { ...backendRecord(1), sealed: 'given up' };
  await worker.directory.saveBackendSession(session.facts.ref, session.token, 'tickets', 0, left);
  expect(await save(1)).toBe('saved');
  expect(await savedOf(worker, session)).toEqual(backendRecord(1));
});

it('is refused once another worker owns the session', async () => {
  const world = use();
  const [worker, other] = [await world.worker('a'), await world.worker('b')];
  const { session, save } = await open(worker);
  await worker.loseLease();
  await other.claim(session);
  expect(await save(1)).toBe('refused');
  expect(await savedOf(other, session)).toBeUndefined();
});
