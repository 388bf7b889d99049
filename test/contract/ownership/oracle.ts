// What must hold in every run. It sees Redis as it is and asks each worker's guard whether it would let an act begin now.
import type { SessionId, SessionRef } from '../../../src/protocol/ids.js';
import type { Session } from '../../../src/sessions/session.js';
import { LEASE_MS } from '../sessions/world.js';
import type { RedisWorld } from './redis-world.js';
import type { SimWorker } from './sim-worker.js';

export interface Known {
  readonly id: SessionId;
  readonly ref: SessionRef;
  /** Somebody asked to end it, or its idle time ended: 404 may be right. */
  mayEnd: boolean;
  epoch: number;
  closing: boolean;
  /** A client was told that there is no such session, although nobody had ended it. */
  toldGone: boolean;
  /** Since when two could act, in model time. */
  twoSinceMs: number | undefined;
}

export interface OracleOptions {
  /** Every worker's lease is looked at, not only those of workers that may act. */
  readonly watchLeases?: boolean;
  /** After a loss of data: nobody may act for a session of which a client was told that it is gone. */
  readonly goneIsGone?: boolean;
}

export class Oracle {
  readonly sessions: Known[] = [];
  #problem: string | undefined;

  constructor(
    private readonly redis: RedisWorld,
    private readonly options: OracleOptions,
  ) {}

  get sessionCount(): number {
    return this.sessions.length;
  }

  session(index: number): Known | undefined {
    return this.sessions[index % Math.max(1, this.sessions.length)];
  }

  opened({ facts }: Session): void {
    const { id, ref } = facts;
    this.sessions.push({ id, ref, mayEnd: false, epoch: 0, closing: false, toldGone: false, twoSinceMs: undefined });
  }

  answered(session: Known, status: number): void {
    if (status !== 404 || session.mayEnd) return;
    if (this.redis.losses === 0) this.#problem ??= `live session ${session.ref} was called gone`;
    session.toldGone = true;
  }

  recovered(session: Known, status: number): void {
    const fine = status === 200 || (status === 404 && (session.mayEnd || this.redis.losses > 0));
    if (!fine) throw new Error(`session ${session.ref} is not served after all faults ended: ${status || 'no answer'}`);
  }

  async check(workers: readonly SimWorker[]): Promise<void> {
    if (this.#problem) throw new Error(this.#problem);
    for (const session of this.sessions) await this.#checkSession(session, workers);
    if (this.options.watchLeases) for (const worker of workers) await this.#checkLease(worker);
  }

  async #checkLease({ isRunning, parts: { keeper } }: SimWorker): Promise<void> {
    if (isRunning && keeper.isValid() && !(await this.redis.hasLease(keeper.id))) {
      throw new Error(`${keeper.id} calls its lease valid, but it is gone`);
    }
  }

  async #checkSession(session: Known, workers: readonly SimWorker[]): Promise<void> {
    const actors = workers.flatMap((worker) => {
      const held = worker.isRunning ? worker.parts.table.get(session.id) : undefined;
      return held?.mayAct() ? [{ worker, token: held.token }] : [];
    });
    const tellActors = () => actors.map(({ token }) => `${token.owner} ${token.epoch}`).join(' and ');
    if (this.redis.losses > 0) return this.#checkAfterLoss(session, actors.length, tellActors);
    if (actors.length > 1) throw new Error(`two may act for ${session.ref}: ${tellActors()}`);
    const record = await this.redis.record(session.ref);
    const closing = record === undefined || record.state === 'closing';
    if (session.closing && !closing) throw new Error(`session ${session.ref} was ended and lives again`);
    session.closing = closing;
    if (record && record.epoch < session.epoch) throw new Error(`epoch of ${session.ref} went back to ${record.epoch}`);
    session.epoch = record?.epoch ?? session.epoch;
    const [actor] = actors;
    if (!actor) return;
    const { token, worker } = actor;
    if (closing) throw new Error(`${token.owner} may act for ${session.ref}, which has ended`);
    if (record.owner !== token.owner || record.epoch !== token.epoch) {
      throw new Error(`${token.owner} ${token.epoch} may act for ${session.ref}, whose owner is ${record.owner} ${record.epoch}`);
    }
    if (!(await this.redis.hasLease(worker.parts.keeper.id))) {
      throw new Error(`${token.owner} may act for ${session.ref} although its lease is gone: anybody may claim`);
    }
  }

  /** Rules 9 and 10 bound it, they do not exclude it. */
  #checkAfterLoss(session: Known, actors: number, tellActors: () => string): void {
    if (this.options.goneIsGone && session.toldGone && actors > 0) {
      throw new Error(`session ${session.ref} was called gone and lives: ${tellActors()}`);
    }
    if (actors < 2) session.twoSinceMs = undefined;
    else session.twoSinceMs ??= this.redis.nowMs;
    if (session.twoSinceMs !== undefined && this.redis.nowMs - session.twoSinceMs > LEASE_MS) {
      throw new Error(`for more than a lease two may act for ${session.ref}: ${tellActors()}`);
    }
  }
}
