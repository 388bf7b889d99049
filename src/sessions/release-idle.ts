// Lets load spread to new workers: a session that nobody used for a while is given up, and whoever gets its next request claims it
// (only a session that can go on elsewhere, with nothing open here). Memory of idle sessions goes with it.
import type { Directory } from '../directory/directory.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { SessionReleaser } from './release-session.js';
import type { Session } from './session.js';
import type { SessionTable } from './session-table.js';

export interface IdleReleaseParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly table: SessionTable;
  readonly releaser: SessionReleaser;
  /** `sessions.releaseAfter`, ms; 0: never */
  readonly releaseAfterMs: number;
  readonly onReleased: (count: number) => void;
}

const MAX_TICK_MS = 1000;
const MIN_TICK_MS = 20;
/** Per tick: two commands each, beside the requests that are served. */
const BATCH = 100;
/** Sessions looked at per tick: a worker that holds very many must not stand still for it. */
const LOOKED_AT = 5000;

export class IdleRelease {
  readonly #parts: IdleReleaseParts;
  #timer: Timer | undefined;
  #running = false;
  /** Who is alone looks for others less often. */
  #notBeforeMs = 0;
  /** Until then somebody else is believed to serve: with many workers each look costs as many commands. */
  #othersUntilMs = 0;
  /** Where the next tick goes on. */
  #rest: Iterator<Session> | undefined;

  constructor(parts: IdleReleaseParts) {
    this.#parts = parts;
  }

  start(): void {
    const { clock, releaseAfterMs } = this.#parts;
    if (releaseAfterMs === 0) return;
    const periodMs = Math.max(MIN_TICK_MS, Math.min(releaseAfterMs / 4, MAX_TICK_MS));
    this.#timer = clock.every(periodMs, () => void this.#tick());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  async #tick(): Promise<void> {
    const { clock, releaser, releaseAfterMs, onReleased } = this.#parts;
    if (this.#running || clock.monotonicMs() < this.#notBeforeMs) return;
    const found = this.#findQuiet();
    if (found.length === 0) return;
    this.#running = true;
    try {
      if (!(await this.#somebodyElseServes())) {
        this.#notBeforeMs = clock.monotonicMs() + releaseAfterMs / 4;
        return;
      }
      // Looked at again: a request may have come while Redis answered.
      const quiet = found.filter((session) => this.#isQuiet(session));
      await releaser.release(quiet);
      if (quiet.length > 0) onReleased(quiet.length);
    } finally {
      this.#running = false;
    }
  }

  async #somebodyElseServes(): Promise<boolean> {
    const { directory, keeper, clock, releaseAfterMs } = this.#parts;
    if (clock.monotonicMs() < this.#othersUntilMs) return true;
    const workers = await directory.listWorkers().catch(() => []);
    if (!workers.some((lease) => !lease.draining && lease.id !== keeper.id)) return false;
    // Wrong by then, it costs the claims that bring back what was given up.
    this.#othersUntilMs = clock.monotonicMs() + releaseAfterMs / 4;
    return true;
  }

  #findQuiet(): Session[] {
    const { keeper, table } = this.#parts;
    // A drain has its own order; and while Redis is away a release would only make work.
    if (keeper.isDraining || !keeper.mayClaim()) return [];
    const quiet: Session[] = [];
    this.#rest ??= table[Symbol.iterator]();
    for (let looked = 0; looked < LOOKED_AT && quiet.length < BATCH; looked++) {
      const { value: session, done } = this.#rest.next();
      if (done) {
        this.#rest = undefined;
        break;
      }
      if (this.#isQuiet(session)) quiet.push(session);
    }
    return quiet;
  }

  #isQuiet(session: Session): boolean {
    const { clock, keeper, releaseAfterMs } = this.#parts;
    if (keeper.isDraining || !keeper.mayClaim()) return false;
    if (session.lastUsedMs > clock.wallMs() - releaseAfterMs || !session.mayAct() || !session.isIdle) return false;
    // A stream would be torn from where it is; a stdio child dies with its worker.
    return !session.standalone && !session.isBoundToWorker;
  }
}
