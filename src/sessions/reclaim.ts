// After a lapse or a loss of data the worker has a new incarnation; every session it still holds must become its own again before it
// is served: by compare-and-set from exactly its own old token, or by registering it anew (rules 5 and 9).
import { type Directory, DirectoryUnavailable } from '../directory/directory.js';
import { GatewayError } from '../errors/gateway-error.js';
import type { Clock } from '../lifecycle/clock.js';
import { pause } from '../lifecycle/clock.js';
import { type Epoch, mintNonce, type WorkerId } from '../protocol/ids.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { Session } from './session.js';
import type { SessionTable } from './session-table.js';

export interface ReclaimParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly table: SessionTable;
  readonly leaseMs: number;
  readonly idleTimeoutMs: number;
  readonly onReclaimed: (counts: { readonly kept: number; readonly dropped: number; readonly cause: string }) => void;
}

/** Claims in flight at once: thousands of sessions come back within a second without flooding Redis. */
const BATCH = 64;
/** A suspended worker keeps children and streams for this long, then gives them up. */
const KEEP_MS = 60_000;
const RETRY_MS = 200;

export class Reclaim {
  readonly #parts: ReclaimParts;

  constructor(parts: ReclaimParts) {
    this.#parts = parts;
  }

  /** The lease ran out: nothing is served from memory until it is ours again. */
  suspend(): void {
    for (const session of this.#parts.table) if (session.state === 'active') session.state = 'reclaiming';
  }

  /** The lease turned out never to have been gone: what was suspended under this incarnation goes on. */
  resume(): void {
    const { table, keeper } = this.#parts;
    for (const session of table) {
      if (session.state === 'reclaiming' && session.token.owner === keeper.id) session.settle('active');
    }
  }

  /** A new lease is held: get back what nobody took. Sessions are served one by one as they come back. */
  async run(cause: 'ranOut' | 'dataLost'): Promise<void> {
    const { keeper, table, clock, onReclaimed } = this.#parts;
    const incarnation = keeper.id;
    this.suspend();
    await this.#rememberGeneration(incarnation);
    const waiting = [...table].filter((session) => session.state === 'reclaiming');
    const untilMs = clock.monotonicMs() + KEEP_MS;
    let kept = 0;
    const work = async () => {
      for (let session = waiting.pop(); session; session = waiting.pop()) {
        if (await this.#reclaim(session, incarnation, cause, untilMs)) kept++;
      }
    };
    const total = waiting.length;
    await Promise.all(Array.from({ length: BATCH }, work));
    if (total > 0) onReclaimed({ kept, dropped: total - kept, cause });
  }

  /**
   * Whatever the cause: Redis may have come back empty after an outage of any length. Until somebody has created the generation
   * anew, no missing session could ever be called gone.
   */
  async #rememberGeneration(incarnation: WorkerId): Promise<void> {
    const { keeper, directory, clock, leaseMs } = this.#parts;
    while (keeper.id === incarnation) {
      try {
        await directory.checkGeneration(leaseMs);
        return;
      } catch (error) {
        if (!(error instanceof DirectoryUnavailable)) return;
        await pause(clock, RETRY_MS);
      }
    }
  }

  async #reclaim(session: Session, incarnation: WorkerId, cause: 'ranOut' | 'dataLost', untilMs: number): Promise<boolean> {
    const { keeper, clock } = this.#parts;
    const nonce = mintNonce();
    // Race: another lapse starts another run with another incarnation; this one leaves the session to it.
    while (session.state === 'reclaiming' && keeper.id === incarnation) {
      try {
        const epoch =
          cause === 'dataLost'
            ? await this.#register(session, incarnation, nonce)
            : await this.#claim(session, incarnation, nonce);
        if (session.state !== 'reclaiming' || keeper.id !== incarnation) return false;
        if (epoch === undefined) break;
        session.settle('active', { owner: incarnation, epoch });
        return true;
      } catch (error) {
        if (!(error instanceof DirectoryUnavailable)) break;
        if (clock.monotonicMs() > untilMs) break;
        await pause(clock, RETRY_MS);
      }
    }
    if (session.state === 'reclaiming' && keeper.id === incarnation) this.#drop(session);
    return false;
  }

  async #claim(session: Session, incarnation: WorkerId, nonce: string): Promise<Epoch | undefined> {
    const { directory, keeper } = this.#parts;
    let outcome = await directory.claimSession(session.facts.ref, session.token, incarnation, nonce);
    // Race: an earlier run claimed it, its answer was lost, and the lease ran out again. Still nobody else has touched it: while a
    // session is in our table, no other part of this process claims it.
    if (outcome.kind === 'ownedByOther' && keeper.isOwn(outcome.token.owner) && keeper.id === incarnation) {
      outcome = await directory.claimSession(session.facts.ref, outcome.token, incarnation, nonce);
    }
    // A record that is missing for us went with Redis' data while we were suspended: a suspended worker registers nothing.
    return outcome.kind === 'claimed' ? outcome.epoch : undefined;
  }

  async #register(session: Session, incarnation: WorkerId, nonce: string): Promise<Epoch | undefined> {
    const { directory, clock, idleTimeoutMs } = this.#parts;
    const { facts, token } = session;
    const epoch = (token.epoch + 1) as Epoch;
    const record = {
      owner: incarnation,
      epoch,
      serverId: facts.server.id,
      principal: facts.principal,
      protocolVersion: facts.protocolVersion,
      client: facts.client,
      createdMs: facts.createdMs,
      backends: session.savedBackends(),
    };
    const outcome = await directory.createSession(facts.ref, record, nonce, true);
    if (outcome !== 'created') return this.#claim(session, incarnation, nonce);
    // A cap never refuses a session that lives already.
    const untilMs = clock.wallMs() + idleTimeoutMs;
    await directory.reserveTotal(facts.ref, untilMs, Number.MAX_SAFE_INTEGER);
    await directory.touchSessions([{ ref: facts.ref, untilMs }]);
    return epoch;
  }

  /** Somebody else has it: memory closes, the record stays as it is. */
  #drop(session: Session): void {
    session.close('released', new GatewayError('OUTCOME_UNKNOWN', { message: 'the session moved to another worker' }));
    this.#parts.table.remove(session);
  }
}
