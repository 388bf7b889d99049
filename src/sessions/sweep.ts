// The cluster-wide sweep, at most once a minute (once a second where a cap would refuse): finishes what ends, ends the expired
// sessions of dead owners, and removes index members without a record. A living owner ends its own by its own clock (liveness.ts).
import { type Directory, DirectoryUnavailable } from '../directory/directory.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import { mintNonce, type SessionRef } from '../protocol/ids.js';
import type { SessionEnder } from './end-session.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { SessionTable } from './session-table.js';

export interface SweepParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly table: SessionTable;
  readonly ender: SessionEnder;
  readonly idleTimeoutMs: number;
  readonly warn: (message: string, details: Record<string, unknown>) => void;
}

const INTERVAL_MS = 60_000;
const FORCED_INTERVAL_MS = 1000;
const MIN_INTERVAL_MS = 1000;
/** Members looked at in one sweep; the rest come with the next. */
const BATCH = 500;

export class Sweep {
  readonly #parts: SweepParts;
  #timer: Timer | undefined;

  constructor(parts: SweepParts) {
    this.#parts = parts;
  }

  start(): void {
    // Short idle limits need a sweep that keeps up with them.
    const intervalMs = Math.max(MIN_INTERVAL_MS, Math.min(INTERVAL_MS, this.#parts.idleTimeoutMs));
    this.#timer = this.#parts.clock.every(intervalMs, () => void this.#run('regular', intervalMs * 0.9));
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Before a cap refuses. */
  async makeRoom(): Promise<void> {
    await this.#run('forced', FORCED_INTERVAL_MS);
    // Places become free with the last step of an ending.
    await this.#parts.ender.settle(FORCED_INTERVAL_MS);
  }

  async #run(kind: 'regular' | 'forced', intervalMs: number): Promise<void> {
    const { directory, keeper, clock, ender, warn } = this.#parts;
    if (!keeper.isValid()) return;
    try {
      if (!(await directory.acquireSweep(keeper.id, intervalMs, kind))) return;
      for (const ref of await directory.listEnding(BATCH)) await ender.finishClosing(ref);
      for (const ref of await directory.listExpired(clock.wallMs(), BATCH)) await this.#endExpired(ref);
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) warn('the sweep failed', { error: String(error) });
    }
  }

  async #endExpired(ref: SessionRef): Promise<void> {
    const { directory, keeper, table, ender } = this.#parts;
    if (table.concerns(ref)) return;
    const read = await directory.readSession(ref);
    if (read.kind === 'settling') return;
    if (read.kind === 'gone') return directory.removeSession(ref, '');
    const { record } = read;
    if (record.state === 'closing') return ender.finishClosing(ref);
    const alive = record.owner !== '' && !keeper.isOwn(record.owner) && (await directory.readLease(record.owner));
    if (alive || !keeper.mayTakeOver()) return;
    // Race: a request made this worker take it over meanwhile; claimed from that, it would be ended and still be served here.
    if (table.concerns(ref)) return;
    // Claimed first, so that a request that arrives now finds an owner that ends it, not a session to take over.
    const claim = await directory.claimSession(ref, { owner: record.owner, epoch: record.epoch }, keeper.id, mintNonce());
    if (claim.kind === 'claimed') await ender.endOrphan(ref, { owner: keeper.id, epoch: claim.epoch }, 'idle');
  }
}
