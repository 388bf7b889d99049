// THE decision, branch by branch: where a request of a session has to be served.
import { DirectoryUnavailable } from '../../../src/directory/directory.js';
import type { Epoch, WorkerId } from '../../../src/protocol/ids.js';
import { mintSessionId } from '../../../src/protocol/ids.js';
import { isNewer, routeFromMemory } from '../../../src/routing/route-session.js';
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import { ALICE, BOB, SERVER } from './world.js';

const use = useWorld();
const token = (owner: string, epoch: number) => ({ owner: owner as WorkerId, epoch: epoch as Epoch });

async function ownedByB() {
  const world = use();
  const [a, b] = [await world.worker('a'), await world.worker('b')];
  const session = await b.open();
  const request = { id: session.facts.id, serverId: SERVER.id, principal: ALICE.digest, refused: undefined };
  return { world, a, b, session, request };
}

it('what is in the table is local, without Redis', async () => {
  const worker = await use().worker('a');
  const session = await worker.open();
  worker.verbs.length = 0;
  const request = { id: session.facts.id, serverId: SERVER.id, principal: ALICE.digest, refused: undefined };
  expect(routeFromMemory(worker.view, request)).toEqual({ kind: 'local', session });
  expect(worker.verbs).toEqual([]);
});

it('a living owner is forwarded to, and from then on without Redis', async () => {
  const { a, b, session, request } = await ownedByB();
  expect(routeFromMemory(a.view, request)).toBeUndefined();
  const decision = await a.route(session);
  expect(decision).toMatchObject({ kind: 'forward', owner: { token: session.token, lease: { id: b.keeper.id } } });
  a.verbs.length = 0;
  expect(routeFromMemory(a.view, request)).toEqual(decision);
  expect(a.verbs).toEqual([]);
});

it('a pair that refused is not hopped to again, neither from the cache nor from the record', async () => {
  const { a, b, session, request } = await ownedByB();
  await a.route(session);
  expect(routeFromMemory(a.view, { ...request, refused: session.token })).toBeUndefined();
  expect(await a.route(session, ALICE.digest, SERVER.id, session.token)).toEqual({ kind: 'hold', cause: b.keeper.id });
});

it('a newer pair than the refused one is hopped to', async () => {
  const { a, b, session } = await ownedByB();
  const refused = session.token;
  await b.lapse();
  await waitFor('b to have it back', () => b.reclaimed.length > 0);
  expect(await a.route(session, ALICE.digest, SERVER.id, refused)).toMatchObject({
    kind: 'forward',
    owner: { token: { epoch: 2 } },
  });
});

it('an owner without a lease is taken over from, at exactly its token', async () => {
  const { a, b, session } = await ownedByB();
  await b.die();
  expect(await a.route(session)).toMatchObject({ kind: 'takeOver', from: session.token });
});

it('a refused pair whose owner died is taken over from', async () => {
  const { a, b, session } = await ownedByB();
  await b.die();
  expect(await a.route(session, ALICE.digest, SERVER.id, session.token)).toMatchObject({ kind: 'takeOver', from: session.token });
});

it('a released session is taken', async () => {
  const { a, b, session } = await ownedByB();
  await b.directory.releaseSession(session.facts.ref, session.token);
  expect(await a.route(session)).toMatchObject({ kind: 'takeOver', from: { owner: '', epoch: 1 } });
});

it('what an earlier incarnation of this process held is taken back, also within the lease after a lapse', async () => {
  const world = use();
  const worker = await world.worker('a');
  const session = await worker.open();
  worker.table.remove(session);
  await worker.lapse();
  expect(worker.keeper.mayTakeOver()).toBe(false);
  expect(await worker.route(session)).toMatchObject({ kind: 'takeOver', from: session.token });
});

it("another's orphan is held within the lease after a lapse of our own", async () => {
  const { a, b, session } = await ownedByB();
  await b.die();
  await a.lapse();
  expect(await a.route(session)).toEqual({ kind: 'hold', cause: 'lease' });
});

it('nothing is taken without a valid lease', async () => {
  const { world, a, b, session } = await ownedByB();
  await b.directory.releaseSession(session.facts.ref, session.token);
  world.clock.stepWall(60_000);
  expect(await a.route(session)).toEqual({ kind: 'hold', cause: 'lease' });
});

it('a worker that drains sends what is free to one that stays', async () => {
  const { world, a, b, session } = await ownedByB();
  const c = await world.worker('c');
  await b.die();
  await a.keeper.setDraining();
  expect(await a.route(session)).toMatchObject({ kind: 'delegate', to: { id: c.keeper.id } });
});

it('a worker that drains takes it itself where nobody stays', async () => {
  const { a, b, session } = await ownedByB();
  await b.die();
  await a.keeper.setDraining();
  expect(await a.route(session)).toMatchObject({ kind: 'takeOver' });
});

it('a worker that drains still forwards to a living owner', async () => {
  const { a, session } = await ownedByB();
  await a.keeper.setDraining();
  expect(await a.route(session)).toMatchObject({ kind: 'forward' });
});

it('an id without a record is gone, and held while things settle', async () => {
  const { world, a, session, request } = await ownedByB();
  const unknown = { ...session, facts: { ...session.facts, id: mintSessionId() } } as typeof session;
  expect(await a.route(unknown)).toEqual({ kind: 'gone' });
  await world.redis.set(world.keys.settling, '1');
  expect(await a.route(unknown)).toEqual({ kind: 'hold', cause: 'settling' });
  expect(routeFromMemory(a.view, { ...request, id: unknown.facts.id })).toBeUndefined();
});

it('what ends is gone, whoever owns it', async () => {
  const { a, b, session } = await ownedByB();
  await b.directory.closeSession(session.facts.ref, session.token);
  expect(await a.route(session)).toEqual({ kind: 'gone' });
});

it.each([
  ['principal', BOB.digest, SERVER.id],
  ['server', ALICE.digest, 'another'],
  ['server (all backends)', ALICE.digest, ''],
])('a stranger by its %s is told that it is gone, and causes no claim of an orphan', async (what, principal, serverId) => {
  const { a, b, session } = await ownedByB();
  await b.die();
  a.verbs.length = 0;
  // What only the audit hears.
  const foreign = what === 'principal' ? { foreign: session.facts.ref } : {};
  expect(await a.route(session, principal, serverId)).toEqual({ kind: 'gone', ...foreign });
  expect(a.verbs).toEqual(['readSession']);
});

it('a silent directory is a reason to hold', async () => {
  const { a, session } = await ownedByB();
  a.before = () => {
    throw new DirectoryUnavailable(new Error('silent'));
  };
  expect(await a.route(session)).toEqual({ kind: 'hold', cause: 'redis' });
});

it('a take-over by another request of this worker while the record was read is found', async () => {
  const { a, b, session } = await ownedByB();
  await b.die();
  const taken = await a.claim(session);
  expect(await a.route(session)).toEqual({ kind: 'local', session: taken });
});

it('a pair is newer by its epoch, or by its owner in the same epoch', () => {
  expect(isNewer(token('a', 2), token('a', 1))).toBe(true);
  expect(isNewer(token('b', 1), token('a', 1))).toBe(true);
  expect(isNewer(token('a', 1), token('a', 1))).toBe(false);
  expect(isNewer(token('b', 1), token('a', 2))).toBe(false);
});
