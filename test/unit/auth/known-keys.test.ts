// Whose key is accepted, and whose streams end when the keys change.
import { createHash } from 'node:crypto';
import { KnownKeys } from '../../../src/auth/known-keys.js';

const digest = (key: string) => createHash('sha256').update(key).digest('hex');
const entry = (id: string, ...keys: string[]) => ({ id, sha256: keys.map(digest) });

test('a caller who lost one of several keys may have come with that one; one who got another has not', () => {
  const keys = new KnownKeys([]);
  keys.replace([entry('alice', 'a1', 'a2'), entry('bob', 'b1'), entry('carol', 'c1')]);
  const [alice, bob, carol] = ['a2', 'b1', 'c1'].map((key) => keys.find(key));
  if (!alice || !bob || !carol) throw new Error('a key is not known');
  keys.replace([entry('alice', 'a1'), entry('bob', 'b1', 'b2')]);
  expect([alice, bob, carol].map((one) => keys.knows(one))).toEqual([false, true, false]);
  expect(keys.find('a2')).toBeUndefined();
  expect(keys.find('a1')).toEqual(alice);
  // Told once: whoever comes with a key that is left, stays.
  keys.replace([entry('alice', 'a1'), entry('bob', 'b1', 'b2')]);
  expect(keys.knows(alice)).toBe(true);
});
