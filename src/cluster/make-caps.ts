// Which caps bind whom.
import { ANONYMOUS } from '../auth/principals.js';
import type { Config } from '../config/schema.js';

export function makeCaps({ sessions: { max, maxPerPrincipal } }: Pick<Config, 'sessions'>) {
  // Without authentication all callers are one principal. Loading has set its cap to the total unless it was written out: then an
  // index of its own would say what that of all sessions says.
  const anonymousMax = maxPerPrincipal < max ? maxPerPrincipal : undefined;
  const maxFor = (digest: string) => (digest === ANONYMOUS.digest ? anonymousMax : maxPerPrincipal);
  return { maxFor, isCapped: (digest: string) => maxFor(digest) !== undefined };
}
