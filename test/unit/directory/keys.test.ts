import { makeKeys } from '../../../src/directory/keys.js';
import { mintSessionId, mintWorkerId, referenceOf } from '../../../src/protocol/ids.js';

/** What decides the slot: the part in the first braces, else the whole key. */
const tagOf = (key: string) => /\{([^}]+)\}/.exec(key)?.[1] ?? key;

const keys = makeKeys('berth:');

describe('keys', () => {
  it('are these, so that operators can find them', () => {
    const ref = referenceOf(mintSessionId());
    expect(keys.session(ref)).toBe(`berth:{${ref}}:session`);
    const id = mintWorkerId('pod-1');
    expect(keys.lease(id)).toBe(`berth:worker:${id}`);
    expect(keys.principal('digest')).toBe('berth:principal:digest');
    expect([keys.expiry, keys.ending, keys.workers, keys.sweep]).toEqual([
      'berth:expiry',
      'berth:ending',
      'berth:workers',
      'berth:sweep',
    ]);
  });

  it('put a session in the slot of its reference, whatever the prefix', () => {
    const ref = referenceOf(mintSessionId());
    for (const prefix of ['', 'berth:', 'tenant/7:']) {
      expect(tagOf(makeKeys(prefix).session(ref))).toBe(ref);
    }
  });

  it('put generation and settling, which one script touches, in one slot', () => {
    expect(tagOf(keys.generation)).toBe(tagOf(keys.settling));
  });

  it('put a token and who fetches the next one in one slot', () => {
    const { token, claim } = keys.token('tickets', 'digest');
    expect([token, claim]).toEqual(['berth:{token:tickets:digest}', 'berth:{token:tickets:digest}:claim']);
    expect(tagOf(token)).toBe(tagOf(claim));
  });
});
