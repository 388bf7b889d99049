// Idle time. Sessions that were used (or have an open stream) are told to the expiry index in one batch per tick, and those of ours
// that were not used for the idle limit are ended by our own clock. At each tick what their streams remember ages.
import type { Directory } from '../directory/directory.js';
import { DirectoryUnavailable } from '../directory/directory.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import type { Session } from './session.js';
import type { SessionTable } from './session-table.js';

type Use = { readonly ref: Session['facts']['ref']; readonly untilMs: number };

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
/** Sessions looked at in one turn of the event loop: a worker that holds very many must not stand still for it. */
const SLICE = 1000;
/** Ended at a time: of very many, the renewals of the lease would wait behind the rest. */
const WIDTH = 64;

export class Liveness {
  readonly #parts: LivenessParts;
  #timer: Timer | undefined;
  #lastTickMs: number;
  #lastRefreshMs: number;
  #looking = false;
  /** To be ended, unless they are used before it is their turn. */
  readonly #expired = new Set<Session>();
  #enders = 0;

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
    if (this.#looking) return;
    const { clock, directory, idleTimeoutMs } = this.#parts;
    const now = clock.wallMs();
    this.#looking = true;
    const used = await this.#look(now).finally(() => {
      this.#looking = false;
    });
    try {
      if (used.length > 0) await directory.touchSessions(used);
      await this.#refreshRecords();
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) throw error;
      // Redis is away: the same sessions have to be told at the next tick.
      this.#lastTickMs = Math.min(this.#lastTickMs, now - idleTimeoutMs / 10);
    }
  }

  /** @returns what was used since the last look */
  async #look(now: number): Promise<Use[]> {
    const { clock, table, idleTimeoutMs } = this.#parts;
    const used: Use[] = [];
    let looked = 0;
    for (const session of table) {
      if (++looked % SLICE === 0) await new Promise<void>((resolve) => void setImmediate(resolve));
      session.streams.age(clock.monotonicMs());
      if (session.state !== 'active') continue;
      if (session.standalone || !session.isIdle) session.lastUsedMs = now;
      if (session.lastUsedMs + idleTimeoutMs <= now) {
        this.#expired.add(session);
        if (this.#enders < WIDTH) void this.#endExpired();
      } else if (session.lastUsedMs >= this.#lastTickMs) {
        used.push({ ref: session.facts.ref, untilMs: session.lastUsedMs + idleTimeoutMs });
      }
    }
    // Not the end of the look: what is used while it goes on is told by the next one.
    this.#lastTickMs = now;
    return used;
  }

  async #endExpired(): Promise<void> {
    const { clock, idleTimeoutMs, expire } = this.#parts;
    this.#enders++;
    for (const session of this.#expired) {
      this.#expired.delete(session);
      const isUsed = session.standalone !== undefined || !session.isIdle || session.lastUsedMs + idleTimeoutMs > clock.wallMs();
      // The record has to be ours when it ends; while the lease is away it waits.
      if (session.state === 'active' && !isUsed && session.mayAct()) await expire(session).catch(() => undefined);
    }
    this.#enders--;
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
