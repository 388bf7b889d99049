import { sealBackendSession, unsealBackendSession } from '../../../src/backends/http/sealed-session.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';

describe('a sealed backend session', () => {
  const keyring = makeKeyring(['new', 'old']);
  const value = { id: 'the-id', headers: { authorization: 'Bearer t' } };

  test('opens only for its session and backend, and with an old key that is still accepted', () => {
    const sealed = sealBackendSession(keyring, 'ref', 'b', value);
    expect(sealed).not.toContain('the-id');
    expect(unsealBackendSession(keyring, 'ref', 'b', sealed)).toEqual(value);
    expect(unsealBackendSession(keyring, 'ref2', 'b', sealed)).toBeUndefined();
    expect(unsealBackendSession(keyring, 'ref', 'c', sealed)).toBeUndefined();
    expect(unsealBackendSession(makeKeyring(['other']), 'ref', 'b', sealed)).toBeUndefined();
    const byOld = sealBackendSession(makeKeyring(['old']), 'ref', 'b', value);
    expect(unsealBackendSession(keyring, 'ref', 'b', byOld)).toEqual(value);
  });

  test('keeps that no id was issued', () => {
    const sealed = sealBackendSession(keyring, 'ref', 'b', { id: undefined, headers: {} });
    expect(unsealBackendSession(keyring, 'ref', 'b', sealed)).toEqual({ id: undefined, headers: {} });
  });
});
