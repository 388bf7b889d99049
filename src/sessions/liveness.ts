// Idle time. Sessions that were used (or have an open stream) are told to the expiry index in one batch per tick, and those of ours
// that were not used for the idle limit are ended by our own clock. At each tick what their streams remember ages.
import type { Directory } from '../directory/directory.js';
import { DirectoryUnavailable } from '../directory/directory.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import type { Session } from './session.js';
import type { SessionTable } from './session-table.js';

export interface LivenessParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly table: SessionTable;
  /** `sessions.idleTimeout`, ms */
  readonly idleTimeoutMs: number;
  readonly expire: (session: Session) => Promise<unknown>;
}

const MAX_TICK_MS = 30_000;
const MIN_TICK_MS = 50;
const RECORD_REFRESH_MS = 86_400_000;

export class Liveness {
  readonly #parts: LivenessParts;
  #timer: Timer | undefined;
  #lastTickMs: number;
  #lastRefreshMs: number;

  constructor(parts: LivenessParts) {
    this.#parts = parts;
    this.#lastTickMs = parts.clock.wallMs();
    this.#lastRefreshMs = parts.clock.monotonicMs();
  }

  start(): void {
    const periodMs = Math.max(MIN_TICK_MS, Math.min(this.#parts.idleTimeoutMs / 20, MAX_TICK_MS));
    this.#timer = this.#parts.clock.every(periodMs, () => void this.#tick());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  async #tick(): Promise<void> {
    const { clock, table, directory, idleTimeoutMs, expire } = this.#parts;
    const now = clock.wallMs();
    const used: Array<{ ref: Session['facts']['ref']; untilMs: number }> = [];
    for (const session of table) {
      session.streams.age(clock.monotonicMs());
      if (session.state !== 'active') continue;
      if (session.standalone || !session.isIdle) session.lastUsedMs = now;
      if (session.lastUsedMs + idleTimeoutMs <= now) {
        // The record has to be ours when it ends; while the lease is away it waits.
        if (session.mayAct()) void expire(session).catch(() => undefined);
      } else if (session.lastUsedMs >= this.#lastTickMs) {
        used.push({ ref: session.facts.ref, untilMs: session.lastUsedMs + idleTimeoutMs });
      }
    }
    this.#lastTickMs = now;
    try {
      if (used.length > 0) await directory.touchSessions(used);
      await this.#refreshRecords();
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) throw error;
      // Redis is away: the same sessions have to be told at the next tick.
      this.#lastTickMs = Math.min(this.#lastTickMs, now - idleTimeoutMs / 10);
    }
  }

  /** Once a day each record's own time to live is set again. */
  async #refreshRecords(): Promise<void> {
    const { clock, table, directory } = this.#parts;
    if (clock.monotonicMs() < this.#lastRefreshMs + RECORD_REFRESH_MS) return;
    const before = this.#lastRefreshMs;
    this.#lastRefreshMs = clock.monotonicMs();
    try {
      for (const session of table) {
        if (session.mayAct()) await directory.extendRecord(session.facts.ref, session.token, session.savedBackends());
      }
    } catch (error) {
      // Those that are left would not outlive the day.
      this.#lastRefreshMs = before;
      throw error;
    }
  }
}
