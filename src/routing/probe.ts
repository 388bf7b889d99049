// What held requests wait for, looked at once for all of them: an owner's lease, Redis, the generation, our own lease.
import { type Directory, DirectoryUnavailable } from '../directory/directory.js';
import type { WorkerId } from '../protocol/ids.js';
import type { LeaseKeeper } from '../sessions/lease-keeper.js';

/** Causes that are no worker's id. `claim`: a claim came to nothing. `reclaiming`: a session of ours is not (or not yet) ours again. */
export type HoldCause = 'redis' | 'settling' | 'lease' | 'claim' | 'reclaiming' | WorkerId;

/**
 * state: a change of it is news for everybody · hint: `go`, each who has not gone yet should; `look`, perhaps something has changed
 * that cannot be seen from here (a record); `wait`, in vain; `all`, to look costs nothing.
 */
export interface ProbeResult {
  readonly state: string;
  readonly hint: 'go' | 'look' | 'wait' | 'all';
}

/** At most one command. Undefined: nothing was learned. Never rejects. */
export type Probe = (cause: HoldCause) => Promise<ProbeResult | undefined>;

export interface ProbeParts {
  readonly directory: Pick<Directory, 'readLease' | 'checkGeneration'>;
  readonly keeper: LeaseKeeper;
  /** `internal.lease`, ms */
  readonly leaseMs: number;
}

export function makeProbe(parts: ProbeParts): Probe {
  return async (cause) => {
    try {
      return await look(parts, cause);
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) throw error;
      return cause === 'redis' ? { state: 'away', hint: 'wait' } : undefined;
    }
  };
}

async function look({ directory, keeper, leaseMs }: ProbeParts, cause: HoldCause): Promise<ProbeResult> {
  switch (cause) {
    case 'redis':
      await directory.readLease(keeper.id);
      // What waits for Redis often waits for our lease as well, which comes back with it.
      return { state: `here ${keeper.isValid()} ${keeper.mayClaim()}`, hint: 'go' };
    case 'settling': {
      // Rule 9: whoever finds the generation missing or changed creates or remembers it; else nothing would ever be called gone.
      const generation = await directory.checkGeneration(leaseMs);
      return { state: generation, hint: generation === 'same' ? 'go' : 'wait' };
    }
    case 'lease': {
      const mayClaim = keeper.mayClaim();
      const mayClaimAny = keeper.isDraining ? mayClaim : keeper.mayTakeOver();
      return { state: `${mayClaim} ${mayClaimAny}`, hint: mayClaimAny ? 'go' : mayClaim ? 'look' : 'wait' };
    }
    case 'claim':
      return { state: '', hint: 'go' };
    case 'reclaiming':
      return { state: '', hint: 'all' };
    default: {
      const lease = await directory.readLease(cause);
      if (!lease) return { state: 'gone', hint: 'go' };
      return { state: lease.draining ? 'leaving' : 'alive', hint: 'look' };
    }
  }
}
