// Claiming what nobody serves: once, by one, and with the same backend sessions.
import type { Session } from '../../../src/sessions/session.js';
import { useWorld } from './fixture.js';
import { backendRecord, type TestWorker } from './world.js';

const use = useWorld();

async function orphan(): Promise<Session> {
  const dead = await use().worker('dead');
  const session = await dead.open();
  await dead.directory.saveBackendSession(session.facts.ref, session.token, 'tickets', 0, backendRecord());
  await dead.die();
  return session;
}

it('fifty requests for an orphan make one claim', async () => {
  const lost = await orphan();
  const worker = await use().worker('a');
  const sessions = await Promise.all(Array.from({ length: 50 }, () => worker.claim(lost)));
  expect(new Set(sessions).size).toBe(1);
  expect(worker.verbs.filter((verb) => verb === 'claimSession')).toHaveLength(1);
  expect(sessions[0]?.token).toEqual({ owner: worker.keeper.id, epoch: 2 });
  expect(sessions[0]?.mayAct()).toBe(true);
  expect(worker.takenOver).toEqual([lost.facts.ref]);
});

it('of several workers exactly one gets it', async () => {
  const lost = await orphan();
  const workers = await Promise.all(['a', 'b', 'c', 'd'].map((name) => use().worker(name)));
  const sessions = await Promise.all(workers.map((worker) => worker.claim(lost)));
  const owners = sessions.filter((session) => session?.mayAct());
  expect(owners).toHaveLength(1);
  expect(await use().field(lost.facts.ref, 'epoch')).toBe('2');
  expect(workers.reduce((sum, worker) => sum + worker.table.size, 0)).toBe(1);
});

it('goes on with the backend sessions that the record holds', async () => {
  const lost = await orphan();
  const worker = await use().worker('a');
  const session = await worker.claim(lost);
  expect(worker.restored).toEqual([backendRecord()]);
  expect([...(session?.backends.keys() ?? [])]).toEqual(['tickets']);
  expect(session?.facts).toMatchObject({ id: lost.facts.id, protocolVersion: '2025-06-18', principal: lost.facts.principal });
});

it('takes nothing that ends', async () => {
  const lost = await orphan();
  const worker = await use().worker('a');
  const read = await worker.directory.readSession(lost.facts.ref);
  if (read.kind !== 'found') throw new Error(read.kind);
  await worker.directory.closeSession(lost.facts.ref, undefined);
  expect(await worker.takeOver.takeOver(lost.facts.id, lost.token, read.record)).toBeUndefined();
  expect(worker.table.size).toBe(0);
});

it('serves nothing under an incarnation that ended while Redis answered, and claims it from that one when asked again', async () => {
  const world = use();
  const lost = await orphan();
  const worker = await world.worker('a');
  const before = worker.keeper.id;
  let lapsed = false;
  worker.before = async (verb) => {
    if (verb !== 'readLease' || lapsed) return;
    lapsed = true;
    await worker.lapse();
  };
  expect(await worker.claim(lost)).toBeUndefined();
  expect(worker.table.size).toBe(0);
  expect(await world.field(lost.facts.ref, 'owner')).toBe(before);
  const session = await worker.claim(lost);
  expect(session?.token).toEqual({ owner: worker.keeper.id, epoch: 3 });
  expect(session?.mayAct()).toBe(true);
});

it('gives up quietly when Redis is silent, and is free to be tried again', async () => {
  const lost = await orphan();
  const worker: TestWorker = await use().worker('a');
  worker.before = (verb) => {
    if (verb === 'claimSession') throw new Error('silent');
  };
  expect(await worker.claim(lost)).toBeUndefined();
  worker.before = undefined;
  expect((await worker.claim(lost))?.mayAct()).toBe(true);
});
