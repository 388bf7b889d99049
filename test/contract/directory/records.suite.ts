// Contract of the verbs that make, read, claim and release a record.
import { mintNonce } from '../../../src/protocol/ids.js';
import { backendSession, epochOf, type Harness, newRecord, newRef, newWorker, TTL_MS, tokenOf } from './harness.js';

export function describeRecords(use: () => Harness): void {
  const directory = () => use().directory;
  const read = async (ref: Parameters<ReturnType<typeof directory>['readSession']>[0]) => {
    const outcome = await directory().readSession(ref);
    if (outcome.kind !== 'found') throw new Error(`record is ${outcome.kind}`);
    return outcome.record;
  };

  describe('createSession', () => {
    it('writes everything that another worker needs to go on', async () => {
      const { ref, record } = await use().openSession({ backends: { tickets: backendSession(1), 'b:c': backendSession(4) } });
      expect(await read(ref)).toEqual({ ...record, state: 'active' });
    });

    it('returns `created` again when it is repeated', async () => {
      const { ref, record, nonce } = await use().openSession();
      expect(await directory().createSession(ref, record, nonce)).toBe('created');
    });

    it('does not undo what happened since when it is repeated', async () => {
      const { ref, record, nonce, token } = await use().openSession();
      await directory().saveBackendSession(ref, token, 'tickets', 0, backendSession(1));
      expect(await directory().createSession(ref, record, nonce)).toBe('created');
      expect((await read(ref)).backends).toHaveProperty('tickets');
    });

    it('says `exists` where another owner or epoch is in force', async () => {
      const { ref, record, nonce } = await use().openSession({ epoch: epochOf(3) });
      expect(await directory().createSession(ref, newRecord({ epoch: epochOf(3) }), mintNonce())).toBe('exists');
      expect(await directory().createSession(ref, { ...record, epoch: epochOf(4) }, nonce)).toBe('exists');
      expect((await read(ref)).epoch).toBe(3);
    });

    it('replaces a lower epoch, and only a lower one, when asked to', async () => {
      const { ref, record } = await use().openSession({ epoch: epochOf(3), backends: { old: backendSession(1) } });
      expect(await directory().createSession(ref, newRecord({ epoch: epochOf(3) }), mintNonce(), true)).toBe('exists');
      expect(await directory().createSession(ref, newRecord({ epoch: epochOf(2) }), mintNonce(), true)).toBe('exists');
      expect((await read(ref)).owner).toBe(record.owner);
      const newer = newRecord({ epoch: epochOf(4), backends: { fresh: backendSession(1) } });
      expect(await directory().createSession(ref, newer, mintNonce(), true)).toBe('created');
      expect(await read(ref)).toEqual({ ...newer, state: 'active' });
    });

    it('never revives a session that is closing', async () => {
      const { ref, record, nonce } = await use().openSession();
      await directory().closeSession(ref, undefined);
      expect(await directory().createSession(ref, record, nonce)).toBe('closing');
      expect(await directory().createSession(ref, newRecord({ epoch: epochOf(9) }), mintNonce(), true)).toBe('closing');
      expect((await read(ref)).state).toBe('closing');
    });

    it('writes a tombstone that is closing from its first moment', async () => {
      const ref = newRef();
      expect(await directory().createSession(ref, newRecord({ state: 'closing' }), mintNonce(), true)).toBe('created');
      expect((await read(ref)).state).toBe('closing');
    });

    it('turns the record of the same owner and epoch to closing by a tombstone', async () => {
      const { ref, record } = await use().openSession();
      expect(await directory().createSession(ref, { ...record, state: 'closing' }, mintNonce(), true)).toBe('created');
      expect((await read(ref)).state).toBe('closing');
    });

    it('sets a TTL of idle limit and a day', async () => {
      const { ref } = await use().openSession();
      const ttlMs = await use().connection.pttl(`${use().prefix}{${ref}}:session`);
      expect(ttlMs).toBeGreaterThan(TTL_MS - 10_000);
      expect(ttlMs).toBeLessThanOrEqual(TTL_MS);
    });
  });

  describe('claimSession', () => {
    it('gives the session to the claimant in the next epoch, with the record', async () => {
      const { ref, token, record } = await use().openSession({ backends: { tickets: backendSession(1) } });
      const claimant = newWorker();
      const outcome = await directory().claimSession(ref, token, claimant, mintNonce());
      const expected = { ...record, state: 'active', owner: claimant, epoch: 2 };
      expect(outcome).toEqual({ kind: 'claimed', epoch: 2, record: expected });
      expect(await read(ref)).toEqual(expected);
    });

    it('returns its first result when repeated with the same nonce', async () => {
      const { ref, token } = await use().openSession();
      const [claimant, nonce] = [newWorker(), mintNonce()];
      const first = await directory().claimSession(ref, token, claimant, nonce);
      expect(await directory().claimSession(ref, token, claimant, nonce)).toEqual(first);
      expect((await read(ref)).epoch).toBe(2);
    });

    it('tells the token in force where somebody else was first', async () => {
      const { ref, token } = await use().openSession();
      const [winner, loser] = [newWorker(), newWorker()];
      await directory().claimSession(ref, token, winner, mintNonce());
      expect(await directory().claimSession(ref, token, loser, mintNonce())).toEqual({
        kind: 'ownedByOther',
        token: tokenOf(winner, 2),
      });
    });

    it('is no repeat any more once the session went on', async () => {
      const { ref, token } = await use().openSession();
      const [first, second, nonce] = [newWorker(), newWorker(), mintNonce()];
      await directory().claimSession(ref, token, first, nonce);
      await directory().claimSession(ref, tokenOf(first, 2), second, mintNonce());
      const late = await directory().claimSession(ref, token, first, nonce);
      expect(late).toEqual({ kind: 'ownedByOther', token: tokenOf(second, 3) });
    });

    it('lets exactly one of 20 claimants win', async () => {
      const { ref, token } = await use().openSession();
      const claimants = Array.from({ length: 20 }, newWorker);
      const outcomes = await Promise.all(
        claimants.map((claimant) => directory().claimSession(ref, token, claimant, mintNonce())),
      );
      expect(outcomes.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
      const winner = claimants[outcomes.findIndex(({ kind }) => kind === 'claimed')] as ReturnType<typeof newWorker>;
      for (const outcome of outcomes) {
        if (outcome.kind !== 'claimed') expect(outcome).toEqual({ kind: 'ownedByOther', token: tokenOf(winner, 2) });
      }
      expect(await read(ref)).toMatchObject({ owner: winner, epoch: 2 });
    });

    it('claims a released session', async () => {
      const { ref, token } = await use().openSession();
      await directory().releaseSession(ref, token);
      const outcome = await directory().claimSession(ref, tokenOf('', 1), newWorker(), mintNonce());
      expect(outcome).toMatchObject({ kind: 'claimed', epoch: 2 });
    });

    it('refuses a missing and a closing record, a repeat too', async () => {
      expect(await directory().claimSession(newRef(), tokenOf(newWorker(), 1), newWorker(), mintNonce())).toEqual({
        kind: 'missing',
      });
      const { ref, token } = await use().openSession();
      const [claimant, nonce] = [newWorker(), mintNonce()];
      await directory().claimSession(ref, token, claimant, nonce);
      await directory().closeSession(ref, undefined);
      expect(await directory().claimSession(ref, token, claimant, nonce)).toEqual({ kind: 'closing' });
    });

    it('sets the TTL anew', async () => {
      const { ref, token } = await use().openSession();
      const key = `${use().prefix}{${ref}}:session`;
      await use().connection.pexpire(key, 5000);
      await directory().claimSession(ref, token, newWorker(), mintNonce());
      expect(await use().connection.pttl(key)).toBeGreaterThan(TTL_MS - 10_000);
    });
  });

  describe('releaseSession', () => {
    it('leaves no owner and keeps the epoch, also when repeated', async () => {
      const { ref, token } = await use().openSession();
      expect(await directory().releaseSession(ref, token)).toEqual({ kind: 'released' });
      expect(await directory().releaseSession(ref, token)).toEqual({ kind: 'released' });
      expect(await read(ref)).toMatchObject({ owner: '', epoch: 1 });
    });

    it('is fenced for a stale token', async () => {
      const { ref, token } = await use().openSession();
      const claimant = newWorker();
      await directory().claimSession(ref, token, claimant, mintNonce());
      expect(await directory().releaseSession(ref, token)).toEqual({ kind: 'fenced' });
      await directory().releaseSession(ref, tokenOf(claimant, 2));
      expect(await directory().releaseSession(ref, token)).toEqual({ kind: 'fenced' });
    });

    it('refuses a missing and a closing record', async () => {
      expect(await directory().releaseSession(newRef(), tokenOf(newWorker(), 1))).toEqual({ kind: 'missing' });
      const { ref, token } = await use().openSession();
      await directory().closeSession(ref, token);
      expect(await directory().releaseSession(ref, token)).toEqual({ kind: 'closing' });
    });
  });
}
