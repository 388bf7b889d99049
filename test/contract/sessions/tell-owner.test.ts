// Ending sessions of other workers: in place of a silent owner, told until it knows; and by one claim only.
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import { ALICE, backendRecord, BOB, makeGate, SERVER, type TestWorker, type World } from './world.js';

const use = useWorld();
const of = { serverId: SERVER.id, principal: ALICE.digest };

async function openUsed(worker: TestWorker) {
  const session = await worker.open();
  await worker.directory.saveBackendSession(session.facts.ref, session.token, 'tickets', 0, backendRecord());
  return session;
}

async function silentOwner() {
  const world = use();
  const [owner, receiver] = [await world.worker('owner'), await world.worker('a')];
  const session = await openUsed(owner);
  owner.isSilent = true;
  return { world, owner, receiver, session, ref: session.facts.ref };
}

/** Time goes on until no key of a session is left. */
const noKeyLeft = (world: World) =>
  waitFor('the keys of the session to go', async () => {
    world.clock.advance(1000);
    return (await world.sessionKeys()).length === 0;
  });

it('sets closing in place of a silent owner, whose token stays, and tells it until it answers: the jobs are its own', async () => {
  const { world, owner, receiver, session, ref } = await silentOwner();
  expect(await receiver.teller.closeInPlaceOf(session.token, ref, of)).toBe('closing');
  expect(await world.field(ref, 'state')).toBe('closing');
  expect(receiver.announced).toEqual([ref]);
  expect([await world.field(ref, 'owner'), await world.field(ref, 'epoch')]).toEqual([session.token.owner, '1']);
  expect(await world.redis.zscore(world.keys.ending, ref)).not.toBeNull();
  expect(await receiver.route(session)).toEqual({ kind: 'gone' });
  // Until it hears, the id lives on in the owner alone.
  expect(session.mayAct()).toBe(true);
  owner.isSilent = false;
  await noKeyLeft(world);
  expect(session.state).toBe('ended');
  expect([owner.queue.jobs.length, receiver.queue.jobs.length]).toEqual([1, 0]);
  expect([owner.ended, receiver.ended]).toEqual([['deleted'], []]);
});

it('goes on in place of an owner whose lease is gone', async () => {
  const { world, owner, receiver, session, ref } = await silentOwner();
  await receiver.teller.closeInPlaceOf(session.token, ref, of);
  await owner.loseLease();
  await noKeyLeft(world);
  expect([owner.queue.jobs.length, receiver.queue.jobs.length]).toEqual([0, 1]);
  expect(receiver.ended).toEqual(['deleted']);
});

it('ends nothing for a stranger, nor by a pair that is no longer in force', async () => {
  const { world, receiver, session, ref } = await silentOwner();
  const { teller } = receiver;
  expect(await teller.closeInPlaceOf(session.token, ref, { ...of, principal: BOB.digest })).toBe('foreign');
  expect(await teller.closeInPlaceOf(session.token, ref, { ...of, serverId: 'another' })).toBe('gone');
  const old = { ...session.token, epoch: 0 as typeof session.token.epoch };
  expect(await teller.closeInPlaceOf(old, ref, of)).toBe('moved');
  expect(await world.field(ref, 'state')).toBe('active');
  expect(receiver.announced).toEqual([]);
});

it('tells one session once at a time, however often it is asked to', async () => {
  const { owner, receiver, session, ref } = await silentOwner();
  await Promise.all([1, 2, 3].map(() => receiver.teller.closeInPlaceOf(session.token, ref, of)));
  owner.isSilent = false;
  const gate = makeGate();
  owner.before = (verb) => (verb === 'closeSession' ? gate.passed : undefined);
  await waitFor('it to be told', () => {
    use().clock.advance(1000);
    return owner.told.length > 0;
  });
  expect(owner.told).toHaveLength(1);
  gate.open();
  await noKeyLeft(use());
});

it('tells a bounded number at a time: the rest is found in `ending`', async () => {
  const { world, owner, receiver } = await silentOwner();
  const sessions = await Promise.all(Array.from({ length: 80 }, () => owner.open()));
  receiver.verbs.length = 0;
  for (const { facts, token } of sessions) {
    await owner.directory.closeSession(facts.ref, token);
    receiver.teller.keepTelling(facts.ref);
  }
  const reads = () => receiver.verbs.filter((verb) => verb === 'readSession').length;
  await waitFor('the first round', () => reads() === 64);
  world.clock.advance(0);
  expect(reads()).toBe(64);
});

describe('one worker claims a session once at a time', () => {
  async function orphan() {
    const { world, owner, receiver, session, ref } = await silentOwner();
    await owner.die();
    const gate = makeGate();
    receiver.before = (verb) => (verb === 'claimSession' ? gate.passed : undefined);
    return { world, receiver, session, ref, gate };
  }

  it('what is being taken over is ended later, and then through the table', async () => {
    const { world, receiver, session, ref, gate } = await orphan();
    const taking = receiver.claim(session);
    await waitFor('the claim', () => receiver.verbs.includes('claimSession'));
    expect(await receiver.teller.tell(ref, 'deleted')).toBe('later');
    gate.open();
    expect((await taking)?.mayAct()).toBe(true);
    expect(await receiver.teller.tell(ref, 'deleted')).toBe('ended');
    await noKeyLeft(world);
    expect(receiver.verbs.filter((verb) => verb === 'claimSession')).toHaveLength(1);
  });

  it('what is being ended is not taken over: nothing stays in the table that the record calls ended', async () => {
    const { world, receiver, session, ref, gate } = await orphan();
    const ending = receiver.teller.tell(ref, 'deleted');
    await waitFor('the claim', () => receiver.verbs.includes('claimSession'));
    const taking = receiver.claim(session);
    await waitFor('both to wait', () => receiver.verbs.filter((verb) => verb === 'readSession').length >= 2);
    gate.open();
    expect([await ending, await taking]).toEqual(['ended', undefined]);
    await noKeyLeft(world);
    expect(receiver.table.size).toBe(0);
    expect(receiver.verbs.filter((verb) => verb === 'claimSession')).toHaveLength(1);
  });
});

it.each(['living', 'dead'])('a session of a %s owner that is killed is ended as such, with its backend sessions', async (how) => {
  const world = use();
  const [owner, other] = [await world.worker('owner'), await world.worker('other')];
  const session = await owner.open();
  await owner.directory.saveBackendSession(session.facts.ref, session.token, 'tickets', 0, backendRecord());
  if (how === 'dead') await owner.die();
  expect(await other.teller.tell(session.facts.ref, 'killed')).toBe('ended');
  await waitFor('no key of the session to be left', async () => (await world.sessionKeys()).length === 0);
  const ender = how === 'dead' ? other : owner;
  expect(ender.ended).toEqual(['killed']);
  expect([...owner.queue.jobs, ...other.queue.jobs]).toHaveLength(1);
  expect(await other.teller.tell(session.facts.ref, 'killed')).toBe('gone');
});
