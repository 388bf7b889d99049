// Contract of the index of open backend sessions: whoever opened an id last has it.
import { mintNonce } from '../../../src/protocol/ids.js';
import { waitFor } from '../../support/wait-for.js';
import { backendSession, type Harness, newWorker, TTL_MS } from './harness.js';

let next = 0;

export function describeOpenIds(use: () => Harness): void {
  const directory = () => use().directory;
  const opened = (generation: number, digest: string) => ({ ...backendSession(generation), digest });
  const newDigest = () => `digest-${++next}`;
  const keyOf = (digest: string) => `${use().prefix}open:${digest}`;

  describe('findOpen', () => {
    it('tells session and generation once the backend session is saved, and lives as long as a record', async () => {
      const { ref, token } = await use().openSession();
      const digest = newDigest();
      expect(await directory().findOpen(digest)).toBeUndefined();
      await directory().saveBackendSession(ref, token, 'a', 0, opened(1, digest));
      expect(await directory().findOpen(digest)).toEqual({ ref, generation: 1 });
      expect(await use().connection.pttl(keyOf(digest))).toBeGreaterThan(TTL_MS - 10_000);
    });

    it('tells who opened it last', async () => {
      const [first, second] = [await use().openSession(), await use().openSession()];
      const digest = newDigest();
      await directory().saveBackendSession(first.ref, first.token, 'a', 0, opened(1, digest));
      await directory().saveBackendSession(second.ref, second.token, 'a', 0, opened(1, digest));
      expect(await directory().findOpen(digest)).toEqual({ ref: second.ref, generation: 1 });
      // A value written anew opens nothing.
      const confirmed = { ...opened(1, digest), isConfirmed: true };
      expect(await directory().saveBackendSession(first.ref, first.token, 'a', 1, confirmed)).toEqual({ kind: 'saved' });
      expect(await directory().findOpen(digest)).toEqual({ ref: second.ref, generation: 1 });
    });
  });

  describe('forgetOpen', () => {
    it('removes the entry of this session up to this generation, and no other', async () => {
      const { ref, token } = await use().openSession();
      const digest = newDigest();
      await directory().saveBackendSession(ref, token, 'a', 0, opened(2, digest));
      await directory().forgetOpen(digest, { ref, generation: 1 });
      await directory().forgetOpen(digest, { ref: `${ref}x` as typeof ref, generation: 2 });
      expect(await directory().findOpen(digest)).toEqual({ ref, generation: 2 });
      await directory().forgetOpen(digest, { ref, generation: 2 });
      expect(await directory().findOpen(digest)).toBeUndefined();
      await directory().forgetOpen(digest, { ref, generation: 2 });
    });
  });

  it('a claim, a record written anew and the daily extension keep the entry, never taking it from a later holder', async () => {
    const { ref, token, record } = await use().openSession();
    const digest = newDigest();
    await directory().saveBackendSession(ref, token, 'a', 0, opened(1, digest));
    await use().connection.del(keyOf(digest));
    const claimant = newWorker();
    await directory().claimSession(ref, token, claimant, mintNonce());
    await waitFor('the claim to index it', async () => (await directory().findOpen(digest))?.ref === ref);

    for (const key of [keyOf(digest), `${use().prefix}{${ref}}:session`]) await use().connection.del(key);
    const anew = { ...record, backends: { a: opened(1, digest) } };
    expect(await directory().createSession(ref, anew, mintNonce())).toBe('created');
    expect(await directory().findOpen(digest)).toEqual({ ref, generation: 1 });

    const later = await use().openSession();
    await directory().saveBackendSession(later.ref, later.token, 'a', 0, opened(1, digest));
    await directory().extendRecord(ref, token, anew.backends);
    expect((await directory().findOpen(digest))?.ref).toBe(later.ref);
  });
}
