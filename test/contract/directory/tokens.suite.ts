// Who fetches the next token: one test a reply of the two scripts.
import { makeKeys } from '../../../src/directory/keys.js';
import { RedisTokens } from '../../../src/directory/redis-tokens.js';
import type { PublishedToken } from '../../../src/directory/token-store.js';
import { waitFor } from '../../support/wait-for.js';
import type { Harness } from './harness.js';

let clients = 0;

export function describeTokens(use: () => Harness): void {
  describe('shared tokens', () => {
    const store = (claimMs?: number) => {
      const { clock, connection, prefix } = use();
      const keys = makeKeys(prefix).token('b', String(++clients));
      return { keys, tokens: new RedisTokens({ connection, keys, clock, ...(claimMs === undefined ? {} : { claimMs }) }) };
    };
    const token = (version: string, more: Partial<PublishedToken> = {}): PublishedToken => ({
      version,
      freshUntilMs: use().clock.wallMs() + 60_000,
      lifeMs: 90_000,
      sealed: `sealed-${version}`,
      ...more,
    });

    test('claimed: one of many, and the same again when it repeats; all others are told busy', async () => {
      const { tokens } = store();
      const nonces = Array.from({ length: 20 }, (_, i) => `n${i}`);
      const claims = await Promise.all(nonces.map((nonce) => tokens.claim('', nonce)));
      expect(claims.filter(({ kind }) => kind === 'claimed')).toEqual([{ kind: 'claimed', sealed: undefined }]);
      expect(claims.filter(({ kind }) => kind === 'busy')).toHaveLength(19);
      const winner = nonces[claims.findIndex(({ kind }) => kind === 'claimed')] as string;
      expect(await tokens.claim('', winner)).toEqual({ kind: 'claimed', sealed: undefined });
    });

    test('published: everybody gets it but who wants another one; it ends with its life, and the claim at once', async () => {
      const { keys, tokens } = store();
      await tokens.claim('', 'n1');
      expect(await tokens.publish('n1', token('v1', { lifeMs: 80_000 }))).toBe(true);
      expect(await tokens.claim('', 'n2')).toEqual({ kind: 'token', sealed: 'sealed-v1' });
      const { connection } = use();
      expect(await connection.pttl(keys.token)).toBeLessThanOrEqual(80_000);
      expect(await connection.pttl(keys.token)).toBeGreaterThan(0);
      expect(await connection.exists(keys.claim)).toBe(0);
      expect(await tokens.claim('v1', 'n3')).toEqual({ kind: 'claimed', sealed: undefined });
    });

    test('a token past its refresh time is replaced by one, and is good for the others meanwhile', async () => {
      const { tokens } = store();
      await tokens.claim('', 'n1');
      await tokens.publish('n1', token('v1', { freshUntilMs: use().clock.wallMs() - 1 }));
      expect(await tokens.claim('', 'n2')).toEqual({ kind: 'claimed', sealed: 'sealed-v1' });
      expect(await tokens.claim('', 'n3')).toEqual({ kind: 'busy', sealed: 'sealed-v1' });
      // Who holds it already learns nothing by it.
      expect(await tokens.claim('v1', 'n4')).toEqual({ kind: 'busy', sealed: undefined });
    });

    test('fenced: a claim that ran out publishes nothing, says of no failure, and takes nobody the claim', async () => {
      const { keys, tokens } = store(50);
      await tokens.claim('', 'slow');
      await waitFor('the claim to run out', async () => (await use().connection.exists(keys.claim)) === 0);
      const quick = new RedisTokens({ connection: use().connection, keys, clock: use().clock });
      expect((await quick.claim('', 'next')).kind).toBe('claimed');
      expect(await tokens.publish('slow', token('late'))).toBe(false);
      await tokens.fail('slow', 'oauth_failed', 1, 60_000);
      expect((await quick.claim('', 'next')).kind).toBe('claimed');
      expect(await use().connection.exists(keys.token)).toBe(0);
    });

    test('failed without a pause: the claim is free at once, and nobody hears of it', async () => {
      const { tokens } = store();
      await tokens.claim('', 'n1');
      await tokens.fail('n1', 'oauth_refused', 3, 0);
      expect(await tokens.claim('', 'n2')).toEqual({ kind: 'claimed', sealed: undefined });
    });

    test('failed: nobody tries until the pause is over, and all know why', async () => {
      const { keys, tokens } = store();
      await tokens.claim('', 'n1');
      await tokens.fail('n1', 'oauth_refused', 3, 500);
      const told = await tokens.claim('', 'n2');
      expect(told).toMatchObject({ kind: 'failed', reason: 'oauth_refused', failures: 3 });
      expect(told).toHaveProperty('retryAfterMs');
      await waitFor('the pause to end', async () => (await use().connection.exists(keys.claim)) === 0);
      expect((await tokens.claim('', 'n2')).kind).toBe('claimed');
    });
  });
}
