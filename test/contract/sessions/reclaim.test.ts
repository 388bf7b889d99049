// After a lapse or a loss of data: what nobody touched comes back, what another has is dropped, and nothing is served in between.
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import { ALICE, backendRecord, backendSession, LEASE_MS, type TestWorker } from './world.js';

const use = useWorld();
const reclaimed = (worker: TestWorker, runs = 1) =>
  waitFor(
    () => `${runs} runs of ${worker.keeper.id}; ${worker.reclaimed.length} so far`,
    () => {
      // What is missing is waited for during a lease.
      worker.world.clock.advance(LEASE_MS / 100);
      return worker.reclaimed.length >= runs && worker.reclaimed;
    },
  );

describe('after a lapse', () => {
  it('keeps every session that nobody took, under the new incarnation and one epoch later', async () => {
    const world = use();
    const worker = await world.worker('a');
    const sessions = await Promise.all(Array.from({ length: 200 }, () => worker.open()));
    await worker.lapse();
    expect(await reclaimed(worker)).toEqual([{ kept: 200, dropped: 0, cause: 'ranOut' }]);
    for (const session of sessions) expect(session.token).toEqual({ owner: worker.keeper.id, epoch: 2 });
    expect(sessions.every((session) => session.mayAct())).toBe(true);
    expect(await world.field(sessions[0]?.facts.ref as never, 'owner')).toBe(worker.keeper.id);
  });

  it('drops what another worker has claimed, and touches its record no more', async () => {
    const world = use();
    const worker = await world.worker('a');
    const other = await world.worker('b');
    const [kept, lost] = [await worker.open(), await worker.open()];
    await worker.loseLease();
    expect((await other.claim(lost))?.mayAct()).toBe(true);
    await worker.lapse();
    expect(await reclaimed(worker)).toEqual([{ kept: 1, dropped: 1, cause: 'ranOut' }]);
    expect(kept.mayAct()).toBe(true);
    expect(lost.state).toBe('released');
    expect(worker.table.get(lost.facts.id)).toBeUndefined();
    expect(await world.field(lost.facts.ref, 'owner')).toBe(other.keeper.id);
    expect(await world.field(lost.facts.ref, 'epoch')).toBe('2');
  });

  it('drops what was ended meanwhile', async () => {
    const worker = await use().worker('a');
    const session = await worker.open();
    await worker.directory.closeSession(session.facts.ref, undefined);
    await worker.lapse();
    expect(await reclaimed(worker)).toEqual([{ kept: 0, dropped: 1, cause: 'ranOut' }]);
  });

  it('registers nothing that went with the data of Redis', async () => {
    const world = use();
    const worker = await world.worker('a');
    const session = await worker.open();
    await world.redis.flushall();
    await worker.lapse();
    expect(await reclaimed(worker)).toEqual([{ kept: 0, dropped: 1, cause: 'ranOut' }]);
    expect(await world.redis.exists(world.keys.session(session.facts.ref))).toBe(0);
  });

  it('calls what an empty Redis lost gone, once things have settled', async () => {
    const world = use();
    const worker = await world.worker('a');
    const session = await worker.open();
    await world.redis.flushall();
    await worker.lapse();
    await reclaimed(worker);
    expect(await worker.route(session)).toEqual({ kind: 'hold', cause: 'settling' });
    await world.redis.del(world.keys.settling);
    expect(await worker.route(session)).toEqual({ kind: 'gone' });
  });

  it('serves nothing until it is claimed back, and wakes who waited', async () => {
    const worker = await use().worker('a');
    const session = await worker.open();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    worker.before = (verb) => (verb === 'claimSession' ? held : undefined);
    await worker.lapse();
    expect(session.state).toBe('reclaiming');
    expect(session.mayAct()).toBe(false);
    const woken = session.settled();
    release();
    await woken;
    expect(session.mayAct()).toBe(true);
  });

  it('goes on at once when a late renewal finds the lease', async () => {
    const world = use();
    const worker = await world.worker('a');
    const session = await worker.open();
    const before = worker.keeper.id;
    world.clock.stepWall(LEASE_MS);
    expect(session.mayAct()).toBe(false);
    world.clock.advance(LEASE_MS / 3);
    await waitFor('the lease to recover', () => worker.keeper.isValid());
    expect(worker.keeper.id).toBe(before);
    expect(session.mayAct()).toBe(true);
    expect(session.token.epoch).toBe(1);
  });

  it('keeps a session that an earlier run claimed without hearing the answer', async () => {
    const worker = await use().worker('a');
    const session = await worker.open();
    const heard = session.token;
    await worker.lapse();
    await reclaimed(worker);
    session.token = heard;
    await worker.lapse();
    expect(await reclaimed(worker, 2)).toMatchObject([{ kept: 1 }, { kept: 1, dropped: 0 }]);
    expect(session.token).toEqual({ owner: worker.keeper.id, epoch: 3 });
    expect(session.mayAct()).toBe(true);
  });
});

describe('after a loss of data', () => {
  async function lose(worker: TestWorker) {
    await worker.world.redis.flushall();
    await worker.renewUntilReplaced();
    await reclaimed(worker);
  }

  it('registers every session anew from memory, one epoch later, backend sessions included', async () => {
    const world = use();
    const worker = await world.worker('a');
    const session = await worker.open();
    session.backends.set('tickets', backendSession(false, backendRecord(3)));
    await lose(worker);
    expect(worker.reclaimed).toEqual([{ kept: 1, dropped: 0, cause: 'dataLost' }]);
    expect(session.token).toEqual({ owner: worker.keeper.id, epoch: 2 });
    expect(session.mayAct()).toBe(true);
    const read = await worker.directory.readSession(session.facts.ref);
    expect(read).toMatchObject({
      kind: 'found',
      record: { owner: worker.keeper.id, epoch: 2, principal: ALICE.digest, backends: { tickets: backendRecord(3) } },
    });
    expect(await worker.directory.countSessions()).toBe(1);
  });

  it('lets no request be told that its session is gone meanwhile', async () => {
    const world = use();
    const worker = await world.worker('a');
    const other = await world.worker('b');
    const session = await worker.open();
    await world.redis.flushall();
    expect(await other.route(session)).toEqual({ kind: 'hold', cause: 'settling' });
    await worker.renewUntilReplaced();
    await reclaimed(worker);
    expect(await other.route(session)).toMatchObject({ kind: 'forward', owner: { token: session.token } });
  });

  it('replaces an older copy of the record, and leaves a newer one to its owner', async () => {
    const world = use();
    const worker = await world.worker('a');
    const [older, newer] = [await worker.open(), await worker.open()];
    const copies = await Promise.all([older, newer].map(({ facts }) => world.redis.hgetall(world.keys.session(facts.ref))));
    await world.redis.flushall();
    await world.redis.hset(world.keys.session(older.facts.ref), copies[0] as object);
    await world.redis.hset(world.keys.session(newer.facts.ref), { ...copies[1], owner: 'b.another', epoch: '5' });
    await worker.renewUntilReplaced();
    await reclaimed(worker);
    expect(older.token).toEqual({ owner: worker.keeper.id, epoch: 2 });
    expect(newer.state).toBe('released');
    expect(await world.field(newer.facts.ref, 'owner')).toBe('b.another');
  });
});
