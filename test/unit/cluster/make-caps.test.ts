// Without authentication only the total counts, unless a cap per caller was written out.
import { ANONYMOUS, keyPrincipal } from '../../../src/auth/principals.js';
import { makeCaps } from '../../../src/cluster/make-caps.js';
import { loadText } from '../config/load-text.js';

const of = (text: string, principal = ANONYMOUS) => {
  const caps = makeCaps(() => loadText(text).config.sessions);
  return [caps.maxFor(principal.digest), caps.isCapped(principal.digest)];
};
const KEYS = `auth: { mode: keys, keys: { a: ${'a'.repeat(64)} } }`;

it('leaves anonymous callers to the total', () => expect(of('{}')).toEqual([undefined, false]));
it('binds them where it is written out', () => expect(of('sessions: { maxPerPrincipal: 7 }')).toEqual([7, true]));
it('binds every key', () => expect(of(KEYS, keyPrincipal('a'))).toEqual([100, true]));
