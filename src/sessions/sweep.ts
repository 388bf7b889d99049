// The cluster-wide sweep, at most once a minute (once a second where a cap would refuse): goes on with what ends, has the expired
// ended, and removes index members without a record. A living owner is told and decides by its own clock; for a dead one we do it.
import { type Directory, DirectoryUnavailable } from '../directory/directory.js';
import { type Clock, pause, type Timer } from '../lifecycle/clock.js';
import type { SessionRef } from '../protocol/ids.js';
import type { EndCause } from '../streams/exchange.js';
import type { SessionEnder } from './end-session.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { OwnerTeller } from './tell-owner.js';

export interface SweepParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly ender: SessionEnder;
  readonly teller: OwnerTeller;
  readonly idleTimeoutMs: number;
  readonly warn: (message: string, details: Record<string, unknown>) => void;
}

type Kind = 'regular' | 'forced';

const INTERVAL_MS = 60_000;
const FORCED_INTERVAL_MS = 1000;
const MIN_INTERVAL_MS = 1000;
/** Looks per interval whether it is time: the next sweep is late by one of them at most, and never early. */
const LOOKS = 6;
/** Members looked at at a time, and how often at most while there are more: what the sweep may cost its worker, the others and Redis. */
const BATCH = 500;
const BATCH_EVERY_MS = 1000;
/** Told at a time: a silent owner takes a second of each. */
const WIDTH = 16;

export class Sweep {
  readonly #parts: SweepParts;
  #timer: Timer | undefined;
  #stopped = false;
  readonly #running = new Map<Kind, Promise<void>>();

  constructor(parts: SweepParts) {
    this.#parts = parts;
  }

  start(): void {
    // Short idle limits need a sweep that keeps up with them.
    const intervalMs = Math.max(MIN_INTERVAL_MS, Math.min(INTERVAL_MS, this.#parts.idleTimeoutMs));
    this.#timer = this.#parts.clock.every(intervalMs / LOOKS, () => void this.#once('regular', intervalMs));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Before a cap refuses. */
  async makeRoom(): Promise<void> {
    // Not longer: whoever wants in waits for it, and owners may be silent.
    await Promise.race([this.#once('forced', FORCED_INTERVAL_MS), pause(this.#parts.clock, FORCED_INTERVAL_MS)]);
    await this.#parts.ender.placesGivenBack();
  }

  /** By kind: who waits for room must not join a look that finds it is not time yet. */
  #once(kind: Kind, intervalMs: number): Promise<void> {
    const running = this.#running.get(kind) ?? this.#run(kind, intervalMs).finally(() => this.#running.delete(kind));
    this.#running.set(kind, running);
    return running;
  }

  async #run(kind: Kind, intervalMs: number): Promise<void> {
    const { directory, keeper, clock, warn } = this.#parts;
    if (!keeper.isValid()) return;
    try {
      if (!(await directory.acquireSweep(keeper.id, intervalMs, kind))) return;
      // A forced one is asked for again as soon as it is over, if that was not enough.
      const lastMs = clock.monotonicMs() + (kind === 'regular' ? intervalMs : 0) - BATCH_EVERY_MS;
      const staying = { closing: 0, idle: 0 };
      for (;;) {
        const nextMs = clock.monotonicMs() + BATCH_EVERY_MS;
        const isMore = await this.#runBatch(staying);
        if (!isMore || nextMs > lastMs || this.#stopped || !keeper.isValid()) return;
        await pause(clock, Math.max(0, nextMs - clock.monotonicMs()));
      }
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) warn('the sweep failed', { error: String(error) });
    }
  }

  /**
   * @param staying members that could not be ended yet: they are the oldest, and must not keep the rest from being looked at
   * @returns whether there may be more than was looked at
   */
  async #runBatch(staying: { closing: number; idle: number }): Promise<boolean> {
    const { directory, clock } = this.#parts;
    const ending = await directory.listEnding(BATCH, staying.closing);
    staying.closing += await this.#tellAll([...ending], 'closing');
    const expired = await directory.listExpired(clock.wallMs(), BATCH, staying.idle);
    staying.idle += await this.#tellAll([...expired], 'idle');
    return ending.length === BATCH || expired.length === BATCH;
  }

  /** @returns how many of them stay as they are */
  async #tellAll(refs: SessionRef[], cause: EndCause): Promise<number> {
    let staying = 0;
    const work = async () => {
      for (let ref = refs.shift(); ref !== undefined; ref = refs.shift()) if (!(await this.#tell(ref, cause))) staying++;
    };
    await Promise.all(Array.from({ length: WIDTH }, work));
    return staying;
  }

  /** One that cannot be ended keeps nobody else from it. @returns false if it stays a member as it is */
  async #tell(ref: SessionRef, cause: EndCause): Promise<boolean> {
    const { directory, teller, warn } = this.#parts;
    const outcome = await teller.tell(ref, cause);
    if (outcome === 'gone') await directory.removeSession(ref, '');
    if (outcome === 'unreadable') {
      // Told by the index or by a DELETE that it is over, and nobody will ever read more of it: first dead, then gone.
      warn('a session is removed whose record cannot be read: backend sessions may be left open', { session: ref });
      if (cause === 'idle') await directory.closeSession(ref, undefined).catch(() => undefined);
      await directory.removeSession(ref, '');
    }
    return outcome !== 'later' && outcome !== 'silent';
  }
}
