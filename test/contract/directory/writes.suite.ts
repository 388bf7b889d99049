// Contract of the fenced writes to a record, and of its end.
import { mintNonce } from '../../../src/protocol/ids.js';
import { backendSession, type Harness, newRef, newWorker, TTL_MS, tokenOf } from './harness.js';

export function describeWrites(use: () => Harness): void {
  const directory = () => use().directory;
  const key = (ref: string) => `${use().prefix}{${ref}}:session`;

  /** A session whose first owner has been replaced: `stale` is fenced, `token` is in force. */
  const takenOver = async () => {
    const { ref, token: stale, record } = await use().openSession();
    const claimant = newWorker();
    await directory().claimSession(ref, stale, claimant, mintNonce());
    return { ref, stale, token: tokenOf(claimant, 2), record };
  };

  describe('saveNames', () => {
    it('saves all kinds at once; one that is missing is removed', async () => {
      const { ref, token } = await use().openSession({ names: { tools: '{"a":["x"]}' } });
      expect(await directory().readSession(ref)).toMatchObject({ record: { names: { tools: '{"a":["x"]}' } } });
      expect(await directory().saveNames(ref, token, { tools: '{}', prompts: '{"a":["p"]}' })).toEqual({ kind: 'saved' });
      expect(await directory().readSession(ref)).toMatchObject({ record: { names: { tools: '{}', prompts: '{"a":["p"]}' } } });
      await directory().saveNames(ref, token, {});
      const read = await directory().readSession(ref);
      expect(read.kind === 'found' && 'names' in read.record).toBe(false);
    });

    it('is fenced, closing, missing', async () => {
      const { ref, stale, token } = await takenOver();
      expect(await directory().saveNames(ref, stale, {})).toEqual({ kind: 'fenced' });
      await directory().closeSession(ref, token);
      expect(await directory().saveNames(ref, token, {})).toEqual({ kind: 'closing' });
      expect(await directory().saveNames(newRef(), token, {})).toEqual({ kind: 'missing' });
    });
  });

  describe('saveStanding', () => {
    it('saves, removes, and is fenced, closing, missing', async () => {
      const opened = await use().openSession({ standing: 'before' });
      expect(await directory().readSession(opened.ref)).toMatchObject({ record: { standing: 'before' } });
      expect(await directory().saveStanding(opened.ref, opened.token, 'after')).toEqual({ kind: 'saved' });
      expect(await directory().readSession(opened.ref)).toMatchObject({ record: { standing: 'after' } });
      expect(await directory().saveStanding(opened.ref, opened.token, '')).toEqual({ kind: 'saved' });
      const read = await directory().readSession(opened.ref);
      expect(read.kind === 'found' && 'standing' in read.record).toBe(false);
      const { ref, stale, token } = await takenOver();
      expect(await directory().saveStanding(ref, stale, 'x')).toEqual({ kind: 'fenced' });
      await directory().closeSession(ref, token);
      expect(await directory().saveStanding(ref, token, 'x')).toEqual({ kind: 'closing' });
      expect(await directory().saveStanding(newRef(), token, 'x')).toEqual({ kind: 'missing' });
    });
  });

  describe('noteAnswered', () => {
    it('keeps the last marks, whole ones, in their order', async () => {
      const { ref, token } = await use().openSession();
      const answered = async () => {
        const read = await directory().readSession(ref);
        return read.kind === 'found' ? read.record.answered : read;
      };
      expect(await answered()).toBeUndefined();
      const marks = Array.from({ length: 70 }, (_, n) => `mark-of-15-char${String(n).padStart(2, '0')}`.slice(2));
      for (const mark of marks) expect(await directory().noteAnswered(ref, token, mark)).toEqual({ kind: 'saved' });
      expect(await answered()).toEqual(marks.slice(-64));
    });

    it('keeps beside them what was asked, as much as there is room for', async () => {
      const { ref, token } = await use().openSession();
      const ids = Array.from({ length: 20 }, (_, n) => String(n).padStart(499, 'x'));
      for (const id of ids) expect(await directory().noteAsked(ref, token, id)).toEqual({ kind: 'saved' });
      await directory().noteAnswered(ref, token, 'mark');
      // Once more, or longer than all may be: the others stay.
      for (const id of [ids[19] as string, 'y'.repeat(8192)]) await directory().noteAsked(ref, token, id);
      expect(await directory().readSession(ref)).toMatchObject({ record: { asked: ids.slice(-16), answered: ['mark'] } });
    });

    it('is fenced, closing, missing', async () => {
      const { ref, stale, token } = await takenOver();
      expect(await directory().noteAsked(ref, stale, 'i')).toEqual({ kind: 'fenced' });
      expect(await directory().noteAnswered(ref, stale, 'm')).toEqual({ kind: 'fenced' });
      await directory().closeSession(ref, token);
      expect(await directory().noteAnswered(ref, token, 'm')).toEqual({ kind: 'closing' });
      expect(await directory().noteAnswered(newRef(), token, 'm')).toEqual({ kind: 'missing' });
    });
  });

  describe('saveBackendSession', () => {
    it('saves generation after generation', async () => {
      const { ref, token } = await use().openSession();
      expect(await directory().saveBackendSession(ref, token, 'a', 0, backendSession(1))).toEqual({ kind: 'saved' });
      expect(await directory().saveBackendSession(ref, token, 'a', 1, backendSession(2))).toEqual({ kind: 'saved' });
      expect(await directory().saveBackendSession(ref, token, 'b', 0, backendSession(1))).toEqual({ kind: 'saved' });
      expect(await directory().readSession(ref)).toMatchObject({
        record: { backends: { a: backendSession(2), b: backendSession(1) } },
      });
    });

    it('returns `saved` again when repeated with the same value', async () => {
      const { ref, token } = await use().openSession();
      await directory().saveBackendSession(ref, token, 'a', 0, backendSession(1));
      expect(await directory().saveBackendSession(ref, token, 'a', 0, backendSession(1))).toEqual({ kind: 'saved' });
    });

    it('is a conflict where another generation is saved, or none', async () => {
      const { ref, token } = await use().openSession();
      expect(await directory().saveBackendSession(ref, token, 'a', 1, backendSession(2))).toEqual({ kind: 'conflict' });
      await directory().saveBackendSession(ref, token, 'a', 0, backendSession(1, 'first'));
      const second = await directory().saveBackendSession(ref, token, 'a', 0, backendSession(1, 'second'));
      expect(second).toEqual({ kind: 'conflict' });
    });

    it('is fenced, closing, missing', async () => {
      const { ref, stale, token } = await takenOver();
      expect(await directory().saveBackendSession(ref, stale, 'a', 0, backendSession(1))).toEqual({ kind: 'fenced' });
      const wrongEpoch = tokenOf(token.owner, 3);
      expect(await directory().saveBackendSession(ref, wrongEpoch, 'a', 0, backendSession(1))).toEqual({ kind: 'fenced' });
      await directory().closeSession(ref, token);
      expect(await directory().saveBackendSession(ref, token, 'a', 0, backendSession(1))).toEqual({ kind: 'closing' });
      expect(await directory().saveBackendSession(newRef(), token, 'a', 0, backendSession(1))).toEqual({ kind: 'missing' });
    });
  });

  describe('dropBackendSession', () => {
    it('forgets exactly that generation, and again when repeated', async () => {
      const { ref, token } = await use().openSession({ backends: { a: backendSession(2), b: backendSession(1) } });
      expect(await directory().dropBackendSession(ref, token, 'a', 1)).toEqual({ kind: 'conflict' });
      expect(await directory().dropBackendSession(ref, token, 'a', 2)).toEqual({ kind: 'dropped' });
      expect(await directory().dropBackendSession(ref, token, 'a', 2)).toEqual({ kind: 'dropped' });
      const read = await directory().readSession(ref);
      expect(read.kind === 'found' && read.record.backends).toEqual({ b: backendSession(1) });
      expect(await directory().saveBackendSession(ref, token, 'a', 0, backendSession(3))).toEqual({ kind: 'saved' });
    });

    it('is fenced, closing, missing', async () => {
      const { ref, stale, token } = await takenOver();
      expect(await directory().dropBackendSession(ref, stale, 'a', 1)).toEqual({ kind: 'fenced' });
      expect(await directory().dropBackendSession(ref, tokenOf(token.owner, 3), 'a', 1)).toEqual({ kind: 'fenced' });
      await directory().closeSession(ref, token);
      expect(await directory().dropBackendSession(ref, token, 'a', 1)).toEqual({ kind: 'closing' });
      expect(await directory().dropBackendSession(newRef(), token, 'a', 1)).toEqual({ kind: 'missing' });
    });
  });

  describe('verifySessions', () => {
    it('answers every verdict in the order asked', async () => {
      const backends = { a: backendSession(2) };
      const generations = { a: 2 };
      const { ref: valid, token } = await use().openSession({ backends });
      const { ref: fenced, stale } = await takenOver();
      const { ref: closing, token: ending } = await use().openSession();
      await directory().closeSession(closing, ending);
      const { ref: behind, token: known } = await use().openSession({ backends });
      await directory().saveStanding(behind, known, 'sealed');
      for (const mark of ['one', 'two']) await directory().noteAnswered(behind, known, mark);
      await directory().noteAsked(behind, known, 'question');
      const ours = { ref: behind, token: known, generations, standing: 'sealed' };
      const verdicts = await directory().verifySessions([
        { ref: newRef(), token, generations, standing: '' },
        { ref: closing, token: ending, generations: {}, standing: '' },
        { ref: valid, token, generations, standing: '' },
        { ref: fenced, token: stale, generations: {}, standing: '' },
        { ref: behind, token: known, generations: { a: 3 }, standing: 'sealed' },
        { ref: behind, token: known, generations: { ...generations, b: 1 }, standing: 'sealed' },
        { ref: behind, token: known, generations, standing: 'sealed' },
        { ref: behind, token: known, generations, standing: 'other' },
        { ref: behind, token: known, generations, standing: '' },
        { ...ours, answered: ['two', 'one'] },
        { ...ours, answered: ['one', 'wo'] },
        { ref: valid, token, generations, standing: '', answered: ['one'] },
        { ...ours, asked: ['question'] },
        { ...ours, asked: ['question', 'other'] },
      ]);
      const [outdated, good] = ['outdated', 'valid'];
      expect(verdicts).toEqual([
        'missing',
        'closing',
        good,
        'fenced',
        ...[outdated, outdated, good, outdated, outdated],
        good,
        outdated,
        outdated,
        good,
        outdated,
      ]);
      expect(await directory().verifySessions([])).toEqual([]);
    });
  });

  describe('claimEnding', () => {
    it('gives a session that is closing to exactly one of those who claim it', async () => {
      const { ref, token, record } = await use().openSession({ backends: { a: backendSession(1) } });
      await directory().closeSession(ref, token);
      const [a, b] = [newWorker(), newWorker()];
      const claimed = { kind: 'claimed', record: { ...record, state: 'closing', owner: a, epoch: token.epoch + 1 } };
      expect(await directory().claimEnding(ref, token, a)).toEqual(claimed);
      expect(await directory().claimEnding(ref, token, b)).toEqual({ kind: 'fenced' });
      expect(await directory().claimEnding(ref, token, a)).toEqual(claimed);
    });

    it('touches nothing that was not ended, and makes nothing', async () => {
      const { ref, token } = await use().openSession();
      expect(await directory().claimEnding(ref, token, newWorker())).toEqual({ kind: 'active' });
      expect(await directory().readSession(ref)).toMatchObject({ record: { owner: token.owner, epoch: token.epoch } });
      const none = newRef();
      expect(await directory().claimEnding(none, token, newWorker())).toEqual({ kind: 'missing' });
      expect((await use().keys()).filter((name) => name.includes(none))).toEqual([]);
    });
  });

  describe('closeSession', () => {
    it('closes once, keeps owner and epoch, and gives the record each time', async () => {
      const { ref, token, record } = await use().openSession({ backends: { a: backendSession(1) } });
      const closed = { ...record, state: 'closing' };
      expect(await directory().closeSession(ref, token)).toEqual({ kind: 'closed', record: closed });
      expect(await directory().closeSession(ref, token)).toEqual({ kind: 'alreadyClosing', record: closed });
      expect(await directory().closeSession(ref, undefined)).toEqual({ kind: 'alreadyClosing', record: closed });
    });

    it('needs no token, but one that is given must be in force', async () => {
      const { ref, stale } = await takenOver();
      expect(await directory().closeSession(ref, stale)).toEqual({ kind: 'fenced' });
      expect(await directory().closeSession(ref, undefined)).toMatchObject({ kind: 'closed', record: { epoch: 2 } });
      expect(await directory().closeSession(ref, stale)).toEqual({ kind: 'fenced' });
    });

    it('says `missing` without a record, and makes none', async () => {
      const ref = newRef();
      expect(await directory().closeSession(ref, undefined)).toEqual({ kind: 'missing' });
      expect(await use().connection.exists(key(ref))).toBe(0);
    });
  });

  describe('removeSession', () => {
    it('leaves no key', async () => {
      const { ref, token, record } = await use().openSession();
      await directory().reserveTotal(ref, 1, 10);
      await directory().reservePrincipal(record.principal, ref, 10);
      await directory().closeSession(ref, token);
      await directory().addEnding(ref, 1);
      await directory().removeSession(ref, record.principal);
      expect((await use().keys()).filter((name) => name.includes(ref))).toEqual([]);
      expect(await directory().listEnding(10)).toEqual([]);
      expect(await directory().listExpired(2, 10)).toEqual([]);
      await directory().removeSession(ref, record.principal);
    });

    it('touches nothing of a session that was not closed', async () => {
      const { ref, record } = await use().openSession();
      await directory().reserveTotal(ref, 1, 10_000);
      await directory().removeSession(ref, record.principal);
      expect(await directory().readSession(ref)).toMatchObject({ kind: 'found' });
      expect(await directory().listExpired(2, 10)).toContain(ref);
      await directory().dropReservations(ref, record.principal);
    });

    it('forgets a member without a record, also where its principal is unknown', async () => {
      const ref = newRef();
      await directory().reserveTotal(ref, 1, 10_000);
      await directory().addEnding(ref, 1);
      await directory().removeSession(ref, '');
      expect(await directory().listEnding(10)).not.toContain(ref);
      expect(await directory().listExpired(2, 10)).not.toContain(ref);
    });
  });

  describe('extendRecord', () => {
    it('sets the TTL of record and principal anew, for the owner only', async () => {
      const { ref, stale, token, record } = await takenOver();
      const principal = `${use().prefix}principal:${record.principal}`;
      await directory().reservePrincipal(record.principal, ref, 10);
      await use().connection.pexpire(key(ref), 5000);
      await use().connection.pexpire(principal, 5000);
      await directory().extendRecord(ref, stale);
      expect(await use().connection.pttl(key(ref))).toBeLessThanOrEqual(5000);
      await directory().extendRecord(ref, token);
      expect(await use().connection.pttl(key(ref))).toBeGreaterThan(TTL_MS - 10_000);
      expect(await use().connection.pttl(principal)).toBeGreaterThan(TTL_MS - 10_000);
      await directory().dropReservations(ref, record.principal);
    });

    it('makes no record', async () => {
      const ref = newRef();
      await directory().extendRecord(ref, tokenOf(newWorker(), 1));
      expect(await use().connection.exists(key(ref))).toBe(0);
    });
  });
}
