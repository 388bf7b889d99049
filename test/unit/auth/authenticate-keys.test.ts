// Which header decides (S134), and what is told to whoever may not come in.
import { createHash } from 'node:crypto';
import { authenticateByKeys } from '../../../src/auth/authenticate-keys.js';
import { KnownKeys } from '../../../src/auth/known-keys.js';
import { ANONYMOUS, keyPrincipal } from '../../../src/auth/principals.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';

const digest = (key: string) => createHash('sha256').update(key).digest('hex');
const ALICE_KEY = 'alice-key-0123456789';
const BOB_KEY = 'bob-key-0123456789';
const keys = new KnownKeys([
  { id: 'alice', sha256: [digest(ALICE_KEY)] },
  { id: 'bob', sha256: [digest(BOB_KEY)] },
]);
const authenticate = authenticateByKeys(keys);

function refused(headers: Record<string, string>): GatewayError {
  try {
    authenticate(headers, {});
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error('the caller was let in');
}

test.each<[string, Record<string, string>, string, string[]]>([
  ['a bearer', { authorization: `Bearer ${ALICE_KEY}` }, 'key:alice', ['authorization']],
  ['a bearer in other letters', { authorization: `bearer   ${ALICE_KEY}` }, 'key:alice', ['authorization']],
  ['x-api-key', { 'x-api-key': BOB_KEY }, 'key:bob', ['x-api-key']],
  [
    'a bearer before x-api-key',
    { authorization: `Bearer ${ALICE_KEY}`, 'x-api-key': 'of a backend' },
    'key:alice',
    ['authorization'],
  ],
  [
    'a bearer before the key of somebody else, which goes no further either',
    { authorization: `Bearer ${ALICE_KEY}`, 'x-api-key': BOB_KEY },
    'key:alice',
    ['authorization', 'x-api-key'],
  ],
  ['x-api-key beside another scheme', { authorization: 'Basic eDp5', 'x-api-key': BOB_KEY }, 'key:bob', ['x-api-key']],
])('%s decides', (_what, headers, name, consumed) => {
  const caller = authenticate(headers, {});
  expect([caller.principal.name, caller.consumed]).toEqual([name, consumed]);
});

test.each<[string, Record<string, string>, string, string]>([
  ['nothing', {}, 'no_key', 'Bearer realm="berth"'],
  ['another scheme alone', { authorization: 'Basic eDp5' }, 'no_key', 'Bearer realm="berth"'],
  ['a wrong bearer', { authorization: 'Bearer no' }, 'wrong_key', 'Bearer realm="berth", error="invalid_token"'],
  ['an empty bearer', { authorization: 'Bearer' }, 'wrong_key', 'Bearer realm="berth", error="invalid_token"'],
  ['the digest instead of the key', { 'x-api-key': digest(BOB_KEY) }, 'wrong_key', 'Bearer realm="berth", error="invalid_token"'],
  [
    'two keys in one header',
    { 'x-api-key': `${BOB_KEY}, ${ALICE_KEY}` },
    'wrong_key',
    'Bearer realm="berth", error="invalid_token"',
  ],
  [
    'a wrong bearer beside a right x-api-key',
    { authorization: 'Bearer no', 'x-api-key': BOB_KEY },
    'wrong_key',
    'Bearer realm="berth", error="invalid_token"',
  ],
])('%s is refused, with a challenge and without an echo', (_what, headers, reason, challenge) => {
  const error = refused(headers);
  expect([error.code, error.details?.reason, error.challenge]).toEqual(['UNAUTHENTICATED', reason, challenge]);
  const told = JSON.stringify(error.toJsonRpc());
  for (const value of Object.values(headers)) if (value.length > 6) expect(told).not.toContain(value);
});

it('takes the bytes of a key as they were sent', () => {
  const known = new KnownKeys([{ id: 'umlaut', sha256: [digest('schlüssel')] }]);
  // As node reads the header: one character a byte.
  const sent = Buffer.from('schlüssel').toString('latin1');
  expect(authenticateByKeys(known)({ 'x-api-key': sent }, {}).principal.name).toBe('key:umlaut');
});

it('knows at once what was added and no more what was taken out; both keys of one id are one principal', () => {
  const changing = new KnownKeys([{ id: 'fixed', sha256: [digest('f')] }]);
  changing.replace([{ id: 'alice', sha256: [digest('new'), digest('old')] }]);
  expect(changing.find('new')).toEqual(changing.find('old'));
  expect(changing.find('f')?.name).toBe('key:fixed');
  changing.replace([{ id: 'bob', sha256: [digest('b')] }]);
  expect(changing.find('new')).toBeUndefined();
  expect([changing.knows(keyPrincipal('alice')), changing.knows(keyPrincipal('bob'))]).toEqual([false, true]);
});

it('believes of a connection what it has shown, as long as the very same is shown and still known', () => {
  const changing = new KnownKeys([{ id: 'alice', sha256: [digest(ALICE_KEY)] }]);
  changing.replace([{ id: 'bob', sha256: [digest(BOB_KEY)] }]);
  const judge = authenticateByKeys(changing);
  const connection = {};
  const ask = (headers: Record<string, string>) => judge(headers, connection);
  const [alice, bob] = [{ authorization: `Bearer ${ALICE_KEY}` }, { authorization: `Bearer ${BOB_KEY}` }];
  const first = ask(bob);
  expect(ask({ ...bob })).toBe(first);
  // Callers that a balancer sends over one connection.
  expect(ask(alice).principal.name).toBe('key:alice');
  expect(ask({ 'x-api-key': BOB_KEY }).consumed).toEqual(['x-api-key']);
  expect(ask({ ...alice, 'x-api-key': BOB_KEY }).consumed).toEqual(['authorization', 'x-api-key']);
  expect(() => ask({})).toThrow(GatewayError);
  expect(ask(bob).principal.name).toBe('key:bob');
  changing.replace([]);
  expect(() => ask(bob)).toThrow(GatewayError);
  expect(ask(alice).principal.name).toBe('key:alice');
});

it('no id can be the anonymous principal', () => {
  expect(keyPrincipal('anonymous')).not.toEqual(ANONYMOUS);
  expect(keyPrincipal('anonymous').digest).not.toBe(ANONYMOUS.digest);
});
