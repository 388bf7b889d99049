// Which caps bind whom.
import { ANONYMOUS } from '../auth/principals.js';
import type { Config } from '../config/schema.js';

/** @param sessions as they are configured now */
export function makeCaps(sessions: () => Config['sessions']) {
  const maxFor = (digest: string): number | undefined => {
    const { max, maxPerPrincipal } = sessions();
    // Without authentication all callers are one principal. Loading has set its cap to the total unless it was written out: then an
    // index of its own would say what that of all sessions says.
    return digest === ANONYMOUS.digest && maxPerPrincipal >= max ? undefined : maxPerPrincipal;
  };
  return { maxFor, isCapped: (digest: string) => maxFor(digest) !== undefined };
}
