// Redis may come back without the last things it was told: after a restart from an older file, after a fail-over. Then a record
// may name an owner from before a claim, and two workers could serve one session. So whoever was connected before verifies what it
// owns before the guard of that time ends, and nobody claims what the directory calls free until every such guard has ended: a
// guard is a renewal of the time before, hence shorter than one lease from the moment in which any worker reaches the server again.
import { type Directory, DirectoryUnavailable } from '../directory/directory.js';
import { type Clock, pause } from '../lifecycle/clock.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { Reclaim } from './reclaim.js';

export interface ReconnectParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly reclaim: Reclaim;
  readonly leaseMs: number;
  readonly onReturn: (facts: { readonly isSameData: boolean }) => void;
}

const RETRY_MS = 200;

export class Reconnect {
  readonly #parts: ReconnectParts;
  #data: string | undefined;
  #isStarted = false;
  /** Monotonic: until then owners of other workers may not have verified. A later, harmless reconnect must not shorten it. */
  #distrustUntilMs = 0;
  #connection = 0;

  constructor(parts: ReconnectParts) {
    this.#parts = parts;
  }

  /**
   * Remembers which data this worker began with.
   * @param isShared Redis is not our own child: workers of other pods may still have to verify what they own
   * @throws DirectoryUnavailable
   */
  async start(isShared: boolean): Promise<void> {
    const { directory, keeper, clock, leaseMs } = this.#parts;
    this.#data = await directory.identifyData();
    if (isShared && (await directory.wasJustLoaded(leaseMs))) this.#distrustUntilMs = clock.monotonicMs() + leaseMs;
    keeper.forbidClaimsUntil(this.#distrustUntilMs);
    this.#isStarted = true;
  }

  /** The connection is lost (on a Cluster: that to a master). */
  lost(): void {
    if (!this.#isStarted) return;
    const { keeper, reclaim } = this.#parts;
    this.#connection++;
    keeper.noteConnectionLost();
    reclaim.distrust(keeper.guardEndMs);
  }

  /** It is open again. */
  back(): void {
    if (!this.#isStarted) return;
    const { keeper, clock, reclaim, leaseMs, onReturn } = this.#parts;
    const connection = this.#connection;
    const backMs = clock.monotonicMs();
    const isSameData = this.#compare(connection).then((isSame) => {
      if (!isSame) this.#distrustUntilMs = Math.max(this.#distrustUntilMs, backMs + leaseMs);
      if (connection === this.#connection) {
        keeper.forbidClaimsUntil(this.#distrustUntilMs);
        onReturn({ isSameData: isSame });
      }
      return isSame;
    });
    void reclaim.verify(isSameData);
  }

  async #compare(connection: number): Promise<boolean> {
    const { directory, clock } = this.#parts;
    while (connection === this.#connection) {
      try {
        const data = await directory.identifyData();
        const isSame = data !== undefined && data === this.#data;
        this.#data = data;
        return isSame;
      } catch (error) {
        if (!(error instanceof DirectoryUnavailable)) return false;
        await pause(clock, RETRY_MS);
      }
    }
    return false;
  }
}
