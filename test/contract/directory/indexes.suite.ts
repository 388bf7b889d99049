// Contract of the caps and of the sorted sets the sweep works off.
import { type Harness, newRef, newRecord, newWorker, TTL_MS } from './harness.js';
import { mintNonce, type SessionRef } from '../../../src/protocol/ids.js';

export function describeIndexes(use: () => Harness): void {
  const directory = () => use().directory;

  beforeEach(() => use().flushAll());

  describe('reserveTotal and reservePrincipal', () => {
    it('hold their cap exactly under 50 concurrent reservations', async () => {
      const refs = Array.from({ length: 50 }, newRef);
      const total = await Promise.all(refs.map((ref) => directory().reserveTotal(ref, 1000, 7)));
      const own = await Promise.all(refs.map((ref) => directory().reservePrincipal('p', ref, 5)));
      expect(total.filter((reply) => reply === 'reserved')).toHaveLength(7);
      expect(own.filter((reply) => reply === 'reserved')).toHaveLength(5);
      expect(await directory().countSessions()).toBe(7);
    });

    it('are idempotent for a member, also at the cap', async () => {
      const [first, second] = [newRef(), newRef()];
      for (const _ of [1, 2]) {
        expect(await directory().reserveTotal(first, 1000, 1)).toBe('reserved');
        expect(await directory().reservePrincipal('p', first, 1)).toBe('reserved');
      }
      expect(await directory().reserveTotal(second, 1000, 1)).toBe('full');
      expect(await directory().reservePrincipal('p', second, 1)).toBe('full');
      expect(await directory().reservePrincipal('other', second, 1)).toBe('reserved');
    });

    it('are undone by dropReservations', async () => {
      const ref = newRef();
      await directory().reserveTotal(ref, 1000, 1);
      await directory().reservePrincipal('p', ref, 1);
      await directory().dropReservations(ref, 'p');
      expect(await use().keys()).toEqual([]);
    });

    it('let a principal index end with its last record', async () => {
      await directory().reservePrincipal('p', newRef(), 1);
      expect(await use().connection.pttl(`${use().prefix}principal:p`)).toBeGreaterThan(TTL_MS - 10_000);
    });
  });

  describe('prunePrincipal', () => {
    it('removes members without a record, but none that may be opening', async () => {
      const { ref: alive } = await use().openSession({ principal: 'p' });
      const dead = newRef();
      await directory().reservePrincipal('p', alive, 10);
      await directory().reservePrincipal('p', dead, 10);
      await directory().prunePrincipal('p');
      expect(await directory().reservePrincipal('p', newRef(), 2)).toBe('full');
      use().clock.shiftMs += 61_000;
      await directory().prunePrincipal('p');
      expect(await directory().reservePrincipal('p', newRef(), 2)).toBe('reserved');
      expect(await directory().reservePrincipal('p', alive, 2)).toBe('reserved');
      expect(await directory().reservePrincipal('p', newRef(), 2)).toBe('full');
    });
  });

  describe('touchSessions and listExpired', () => {
    it('takes as many sessions as one worker may hold', async () => {
      const refs = Array.from({ length: 3 }, newRef);
      for (const ref of refs) await directory().reserveTotal(ref, 100, 10);
      const strangers = Array.from({ length: 150_000 }, (_, i) => ({ ref: `stranger-${i}` as SessionRef, untilMs: 500 }));
      const [first, second, third] = refs.map((ref) => ({ ref, untilMs: 500 }));
      await directory().touchSessions([
        first,
        ...strangers.slice(0, 75_000),
        second,
        ...strangers.slice(75_000),
        third,
      ] as typeof strangers);
      expect(await directory().listExpired(500, 10)).toEqual([]);
      expect(await directory().countSessions()).toBe(3);
    });

    it('passes over so many of the oldest', async () => {
      const refs = Array.from({ length: 3 }, newRef);
      for (const [i, ref] of refs.entries()) await directory().reserveTotal(ref, 100 + i, 10);
      expect(await directory().listExpired(500, 2, 1)).toEqual(refs.slice(1));
      for (const [i, ref] of refs.entries()) await directory().addEnding(ref, i);
      expect([await directory().listEnding(2), await directory().listEnding(2, 2)]).toEqual([refs.slice(0, 2), refs.slice(2)]);
    });

    it('list what expired, oldest first, as many as asked', async () => {
      const [oldest, older, fresh] = [newRef(), newRef(), newRef()];
      await directory().reserveTotal(older, 200, 10);
      await directory().reserveTotal(fresh, 300, 10);
      await directory().reserveTotal(oldest, 100, 10);
      expect(await directory().listExpired(300, 10)).toEqual([oldest, older]);
      expect(await directory().listExpired(301, 10)).toEqual([oldest, older, fresh]);
      expect(await directory().listExpired(301, 1)).toEqual([oldest]);
    });

    it('never shorten and never add', async () => {
      const [known, unknown] = [newRef(), newRef()];
      await directory().reserveTotal(known, 500, 10);
      await directory().touchSessions([
        { ref: known, untilMs: 400 },
        { ref: unknown, untilMs: 900 },
      ]);
      expect(await directory().listExpired(500, 10)).toEqual([]);
      expect(await directory().listExpired(1000, 10)).toEqual([known]);
      await directory().touchSessions([{ ref: known, untilMs: 2000 }]);
      expect(await directory().listExpired(1000, 10)).toEqual([]);
      expect([await directory().readIdleEnd(known), await directory().readIdleEnd(unknown)]).toEqual([2000, undefined]);
      await directory().touchSessions([]);
    });
  });

  describe('addEnding', () => {
    it('keeps the order in which sessions began to end', async () => {
      const [first, second] = [newRef(), newRef()];
      await directory().addEnding(first, 100);
      await directory().addEnding(second, 200);
      await directory().addEnding(first, 300);
      expect(await directory().listEnding(10)).toEqual([first, second]);
      expect(await directory().listEnding(1)).toEqual([first]);
    });
  });

  describe('acquireSweep', () => {
    it('lets one worker per interval sweep', async () => {
      const answers = await Promise.all([1, 2, 3].map(() => directory().acquireSweep(newWorker(), 60_000)));
      expect(answers.filter(Boolean)).toHaveLength(1);
      expect(await use().connection.pttl(`${use().prefix}sweep`)).toBeGreaterThan(50_000);
    });
  });

  it('gives every key of a live session a TTL, except the indexes that are worked off', async () => {
    const record = newRecord();
    const ref = newRef();
    await directory().reserveTotal(ref, 1, 10);
    await directory().reservePrincipal(record.principal, ref, 10);
    await directory().createSession(ref, record, mintNonce());
    const endless: string[] = [];
    for (const key of await use().keys()) if ((await use().connection.pttl(key)) === -1) endless.push(key);
    expect(endless).toEqual([`${use().prefix}expiry`]);
  });
}
