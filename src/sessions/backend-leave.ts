// How a backend session leaves a session that lives on, because a reload removed or changed its backend: first its teardown is
// queued, then the record forgets it. A crash in between makes the next owner do both again (the job has the same id); a crash before
// leaves it in the record, where the next owner finds that it fits no backend any more. Calls that had begun in it end there, up to a
// bound; its DELETE waits for them.
import type { Backend, BackendSession } from '../backends/backend.js';
import type { BackendSessionRecord, Directory } from '../directory/directory.js';
import { GatewayError } from '../errors/gateway-error.js';
import { type Clock, pause, type Timer } from '../lifecycle/clock.js';
import type { TeardownJob, TeardownQueue } from '../teardown/job.js';
import { jobsOf } from './end-session.js';
import { type CallInFlight, FormerBackendSessions, type Leaving, type Session } from './session.js';

export interface BackendLeaveParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly queue: TeardownQueue;
  /** How long calls that had begun may take: `limits.requestTimeout`, ms. */
  readonly maxCallMs: () => number;
}

/** What is known of a backend session besides itself. */
export interface Link {
  /** Undefined where no backend is configured for it any more. */
  readonly backend: Backend | undefined;
  /** As the session's record holds it; undefined before it was saved. */
  saved: BackendSessionRecord | undefined;
  /** The saving that is under way. */
  saving: Promise<unknown> | undefined;
  /** Set once it has left. */
  retired: Retired | undefined;
  /** Its successor goes on with the backend session of this generation: not ours to end any more. */
  handedOn?: number;
}

/** A backend session that has left, as long as calls run in it. */
interface Retired {
  readonly session: Session;
  readonly backend: BackendSession;
  readonly calls: readonly CallInFlight[];
  readonly untilMs: number;
  /** They wait for its calls. */
  readonly jobs: TeardownJob[];
}

const RETRY_MS = 250;
const POLL_MS = 50;
const PARALLEL = 32;

export class BackendLeave {
  readonly #parts: BackendLeaveParts;
  readonly #retired = new Set<Retired>();
  #timer: Timer | undefined;
  /** Steps that wait for Redis, and those that wait for their turn. */
  #running = 0;
  readonly #waiting: Array<() => void> = [];

  constructor(parts: BackendLeaveParts) {
    this.#parts = parts;
  }

  /** No new call goes to it from now on; it is closed when those that had begun are over. */
  retire(session: Session, backend: BackendSession, link: Link): void {
    const calls = session.calls.toArray().filter((call) => call.backend === backend.backend);
    const untilMs = this.#parts.clock.monotonicMs() + this.#parts.maxCallMs();
    link.retired = { session, backend, calls, untilMs, jobs: [] };
    session.backends.delete(backend.backend);
    keepFormer(session).retired.add(backend);
    this.#retired.add(link.retired);
    if (calls.length === 0) this.#close(link.retired);
    else this.#timer ??= this.#parts.clock.every(POLL_MS, () => this.#look());
  }

  /** It ends: what the record holds of it is torn down. */
  leave(session: Session, name: string, link: Link): void {
    const { leaving: all } = keepFormer(session);
    const before = all.get(name)?.done ?? Promise.resolve();
    const leaving: { -readonly [K in keyof Leaving]: Leaving[K] } = { record: link.saved, done: before };
    leaving.done = before
      .then(() => this.#leave(session, name, link, leaving))
      .finally(() => {
        if (all.get(name) === leaving) all.delete(name);
      });
    all.set(name, leaving);
  }

  /**
   * A backend session that has left was opened only now, or anew: its teardown is queued before anything is sent with its id, and the
   * record never learns of it.
   */
  async adopt(link: Link, value: BackendSessionRecord): Promise<'saved' | 'refused'> {
    const { retired } = link;
    if (!retired) return 'refused';
    const { session, backend, jobs } = retired;
    const own = jobsOf(session.facts.ref, { backends: { [backend.backend]: value } });
    try {
      await this.#parts.queue.add(own, this.#delayOf(retired));
      jobs.push(...own);
      // Its calls may have ended meanwhile.
      if (!this.#retired.has(retired)) await this.#parts.queue.hasten(own);
      return 'saved';
    } catch {
      return 'refused';
    }
  }

  async #leave(session: Session, name: string, link: Link, leaving: Leaving): Promise<void> {
    const { directory, clock, queue } = this.#parts;
    // Race: it was being saved when it left. Once that is known, it is either in the record or was discarded.
    await link.saving;
    const { saved, retired } = link;
    if (!saved) return;
    leaving.record = saved;
    keepFormer(session).lastGenerations.set(name, saved.generation);
    const { ref } = session.facts;
    const jobs = jobsOf(ref, { backends: { [name]: saved } });
    let isQueued = false;
    const step = async (): Promise<boolean> => {
      if (!session.mayAct()) return false;
      if (!isQueued) {
        const waits = retired !== undefined && this.#retired.has(retired);
        await queue.add(jobs, waits ? this.#delayOf(retired) : 0);
        isQueued = true;
        if (waits) retired.jobs.push(...jobs);
        // Race: its last call ended while the job was on its way.
        if (waits && !this.#retired.has(retired)) await queue.hasten(jobs);
        if (!session.mayAct()) return false;
      }
      const { token } = session;
      const outcome = await directory.dropBackendSession(ref, token, name, saved.generation);
      // Race: claimed back while the answer was on its way, or Redis has carried out a claim-back that we do not know of yet.
      if (outcome.kind !== 'fenced') return true;
      return session.state !== 'reclaiming' && (!session.mayAct() || session.token === token);
    };
    for (;;) {
      if (session.state === 'reclaiming') await session.settled(pause(clock, RETRY_MS));
      // Ended: its end found what is leaving. Released: the next owner finds it in the record.
      if (session.state === 'ended' || session.state === 'released') return;
      // Redis is away: as long as it takes, and no longer than the session is ours.
      if (await this.#inTurn(step).catch(() => false)) return;
      await pause(clock, RETRY_MS);
    }
  }

  /** A reload concerns all sessions at once, and renewals of the lease go over the same connection. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < PARALLEL) this.#running++;
    else await new Promise<void>((go) => this.#waiting.push(go));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }

  #delayOf({ untilMs }: Retired): number {
    return Math.max(1, untilMs - this.#parts.clock.monotonicMs());
  }

  #look(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    for (const retired of this.#retired) {
      if (nowMs > retired.untilMs || !retired.calls.some((call) => retired.session.calls.has(call))) this.#close(retired);
    }
    if (this.#retired.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #close(retired: Retired): void {
    const { session, backend, jobs } = retired;
    this.#retired.delete(retired);
    session.former?.retired.delete(backend);
    backend.close(new GatewayError('BACKEND_UNAVAILABLE', { details: { backend: backend.backend, reason: 'removed' } }));
    void this.#parts.queue.hasten(jobs);
  }
}

function keepFormer(session: Session): FormerBackendSessions {
  session.former ??= new FormerBackendSessions();
  return session.former;
}
