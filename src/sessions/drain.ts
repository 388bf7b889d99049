// A worker's orderly exit: sessions pass to workers that stay, calls in flight end here.
import type { Directory } from '../directory/directory.js';
import type { Clock } from '../lifecycle/clock.js';
import { pause } from '../lifecycle/clock.js';
import type { SessionEnder } from './end-session.js';
import type { LeaseKeeper } from './lease-keeper.js';
import { cutShort, type SessionReleaser } from './release-session.js';
import type { Session } from './session.js';
import type { SessionTable } from './session-table.js';

export interface DrainParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly table: SessionTable;
  readonly ender: SessionEnder;
  readonly releaser: SessionReleaser;
  /** Requests that this worker passes on or serves, those of sessions it does not own included. */
  readonly openExchanges: () => number;
  /** True if a stdio backend of the session ends it when its state is lost. */
  readonly endsWithState: (session: Session) => boolean;
  /** `limits.hold`, ms: how long a request waits elsewhere for the next owner. */
  readonly holdMs: number;
  readonly onReleased: (count: number) => void;
}

const POLL_MS = 50;
/** Released at a time: the renewals of the lease go over the same connection, and each command there has to end in time. */
const BATCH = 500;
/** A held request gets its owner before it is given up. */
const HOLD_SHARE = 0.8;

export class Drain {
  readonly #parts: DrainParts;
  #released = 0;

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  /**
   * Releases sessions as they become quiet, until nothing is in flight or `timeoutMs` went by. A session that is never quiet, since
   * its client calls without a pause, begins nothing in the last part of that time: what it has begun can end then, and what comes
   * waits for its next owner. The last worker of the cluster releases nothing: its deleted lease frees the sessions.
   */
  async run(timeoutMs: number): Promise<void> {
    const { clock, table, openExchanges, holdMs } = this.#parts;
    const untilMs = clock.monotonicMs() + timeoutMs;
    const leaveMs = untilMs - Math.min(timeoutMs / 2, holdMs * HOLD_SHARE);
    let isLastTurn = false;
    for (;;) {
      const somebodyStays = await this.#somebodyStays();
      if (somebodyStays) await this.#releaseQuiet(untilMs);
      for (const session of table) {
        // A client that calls again at once is quiet for less than we look away.
        session.onQuiet = somebodyStays ? () => setImmediate(() => this.#releaseNow(session)) : undefined;
        session.isLeaving = somebodyStays && clock.monotonicMs() > leaveMs;
      }
      const isQuiet = openExchanges() === 0 && [...table].every((session) => session.isIdle);
      // Race: one became quiet while others were being released. It is released as well, unless it was tried already.
      if (isQuiet && (isLastTurn || !somebodyStays || ![...table].some(mayGo))) break;
      if (clock.monotonicMs() > untilMs) break;
      isLastTurn = isQuiet;
      if (!isQuiet) await pause(clock, POLL_MS);
    }
    await this.#endBound();
    // What still runs would be cut off with the process: its callers are told that it may have run. Records stay as they are, the
    // lease that is deleted next frees them.
    for (const session of [...table]) if (session.state === 'active' && !session.isIdle) session.close('released', cutShort());
    this.#parts.onReleased(this.#released);
  }

  async #somebodyStays(): Promise<boolean> {
    const { directory, keeper } = this.#parts;
    const workers = await directory.listWorkers().catch(() => []);
    return workers.some((lease) => !lease.draining && lease.id !== keeper.id);
  }

  /** What is not released by then goes with the lease. */
  async #releaseQuiet(untilMs: number): Promise<void> {
    const { clock, table, releaser } = this.#parts;
    do {
      const quiet: Session[] = [];
      for (const session of table) if (mayGo(session) && quiet.push(session) === BATCH) break;
      this.#released += quiet.length;
      await releaser.release(quiet);
      if (quiet.length < BATCH) return;
    } while (clock.monotonicMs() < untilMs);
  }

  #releaseNow(session: Session): void {
    if (!mayGo(session)) return;
    this.#released++;
    void this.#parts.releaser.release([session]);
  }

  /** What could not be passed on: a stdio child dies with its worker, and `onStateLoss` says what that means. */
  async #endBound(): Promise<void> {
    const { table, ender, releaser, endsWithState } = this.#parts;
    const bound = [...table].filter((session) => session.state === 'active' && session.isBoundToWorker);
    await Promise.all(
      bound.map((session) => (endsWithState(session) ? ender.end(session, 'drain') : releaser.release([session]))),
    );
  }
}

function mayGo(session: Session): boolean {
  return session.state === 'active' && session.isIdle && !session.isBoundToWorker;
}
