// After a lapse, a loss of data or a reconnect, what this worker holds in memory must be its own in the directory again before
// it is served.
import { type Directory, DirectoryUnavailable, type Verdict } from '../directory/directory.js';
import { GatewayError } from '../errors/gateway-error.js';
import { type Clock, pause, type Timer } from '../lifecycle/clock.js';
import { mintNonce, type WorkerId } from '../protocol/ids.js';
import type { SessionEnder } from './end-session.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { Regain } from './regain.js';
import type { Session } from './session.js';
import type { SessionTable } from './session-table.js';

/** Why: the lease ran out; Redis lost its data under a valid lease; the connection to Redis was opened anew. */
export type ReclaimCause = 'ranOut' | 'dataLost' | 'reconnected';

export interface ReclaimParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly table: SessionTable;
  readonly regain: Regain;
  readonly ender: SessionEnder;
  readonly leaseMs: number;
  /** Sessions that had to be made ours again; those that a verification found in order are not counted. */
  readonly onReclaimed: (counts: { readonly kept: number; readonly dropped: number; readonly cause: ReclaimCause }) => void;
}

/** Claims in flight at once: thousands of sessions come back within a second without flooding Redis. */
const PARALLEL = 64;
/** Records that are verified with one round trip. */
const BATCH = 500;
/** A suspended worker keeps children and streams for this long, then gives them up. */
const KEEP_MS = 60_000;
const RETRY_MS = 200;

export class Reclaim {
  readonly #parts: ReclaimParts;
  /** Sessions whose records were not looked at since the connection was opened anew. */
  readonly #unverified = new Set<Session>();
  /** Monotonic, when the guard under which it was last served ends: until then its record is written anew where it is missing. */
  readonly #guardEnds = new WeakMap<Session, number>();
  /** A later run or verification takes over what an earlier one has not done; they never work at the same time. */
  #turn = 0;
  #working: Promise<void> = Promise.resolve();
  #givingUp: Timer | undefined;

  constructor(parts: ReclaimParts) {
    this.#parts = parts;
  }

  /** The lease ran out: nothing is served from memory until it is ours again. */
  suspend(): void {
    const { table, clock, keeper } = this.#parts;
    for (const session of table) if (session.state === 'active') session.state = 'reclaiming';
    this.#givingUp ??= clock.after(KEEP_MS, () => {
      this.#givingUp = undefined;
      // While Redis stays away: the records remain as they are, and whoever gets the next request goes on from them.
      if (!keeper.isValid()) for (const session of [...table]) if (session.state === 'reclaiming') this.#drop(session);
    });
  }

  /** The lease turned out never to have been gone: what was suspended under this incarnation goes on. */
  resume(): void {
    const { table, keeper } = this.#parts;
    this.#keepAll();
    for (const session of table) {
      if (session.state !== 'reclaiming' || session.token.owner !== keeper.id) continue;
      if (!this.#unverified.has(session)) session.settle('active');
    }
  }

  /**
   * A new lease is held: get back what nobody took. Sessions are served one by one as they come back.
   * @param guardEndMs of the incarnation before, monotonic: until then a missing record is written anew
   */
  run(cause: 'ranOut' | 'dataLost', guardEndMs: number): Promise<void> {
    const { keeper, table, ender } = this.#parts;
    for (const session of table) {
      // What an earlier lapse has suspended may be another's by now: a suspended worker writes nothing anew.
      if (cause === 'ranOut') this.#guardEnds.set(session, Number.NEGATIVE_INFINITY);
      else if (session.state === 'active') this.#guardEnds.set(session, guardEndMs);
    }
    this.suspend();
    this.#keepAll();
    this.#unverified.clear();
    return this.#takeTurn(keeper.id, async (isCurrent) => {
      await this.#rememberGeneration(isCurrent);
      if (cause === 'dataLost') ender.endAgain();
      const suspended = [...table].filter((session) => session.state === 'reclaiming');
      await this.#reclaimAll(suspended, isCurrent, cause);
    });
  }

  /**
   * The connection to Redis is lost: what it comes back with may be older. Sessions are served on until the guard as it is now ends:
   * by then others may claim what the directory calls free (see reconnect.ts). On a Cluster the lease may live on another server, so
   * that only this ends it.
   * @param guardEndMs monotonic
   */
  distrust(guardEndMs: number): void {
    const { table, clock } = this.#parts;
    const unverified = this.#unverified;
    for (const session of table) {
      if (session.state !== 'active' && session.state !== 'reclaiming') continue;
      // What is suspended, or was not verified since the last loss, was served under an earlier guard.
      if (session.state === 'active' && !unverified.has(session)) this.#guardEnds.set(session, guardEndMs);
      unverified.add(session);
    }
    clock.after(Math.max(0, guardEndMs - clock.monotonicMs()), () => {
      for (const session of unverified) {
        // Not by the clock: a timer may be early by a moment, and this one comes only once. Of a later loss there is a later one.
        const isOver = (this.#guardEnds.get(session) ?? guardEndMs) <= guardEndMs;
        if (session.state === 'active' && isOver) session.state = 'reclaiming';
      }
    });
  }

  /**
   * It was opened anew.
   * @param isSameData the data is known to be the same: then only what was on its way may differ
   */
  verify(isSameData: Promise<boolean>): Promise<void> {
    const { keeper, ender } = this.#parts;
    const unverified = this.#unverified;
    void isSameData.then((isSame) => {
      if (!isSame) ender.endAgain();
    });
    return this.#takeTurn(keeper.id, async (isCurrent) => {
      await this.#rememberGeneration(isCurrent);
      const wrong: Session[] = [];
      const rest = [...unverified];
      while (rest.length > 0 && isCurrent()) wrong.push(...(await this.#verifyBatch(rest.splice(0, BATCH), isCurrent)));
      await this.#reclaimAll(wrong, isCurrent, 'reconnected');
      // What ended or went meanwhile need not be held here.
      for (const session of isCurrent() ? unverified : []) {
        if (session.state === 'ended' || session.state === 'released') unverified.delete(session);
      }
    });
  }

  #takeTurn(incarnation: WorkerId, work: (isCurrent: () => boolean) => Promise<void>): Promise<void> {
    const turn = ++this.#turn;
    const isCurrent = () => this.#turn === turn && this.#parts.keeper.id === incarnation;
    this.#working = this.#working.then(() => work(isCurrent));
    return this.#working;
  }

  /** @returns those that are not ours as they should be; suspended */
  async #verifyBatch(batch: Session[], isCurrent: () => boolean): Promise<Session[]> {
    const { directory, clock } = this.#parts;
    const held = batch.map((session) => ({
      ref: session.facts.ref,
      token: session.token,
      generations: Object.fromEntries(Object.entries(session.savedBackends()).map(([name, saved]) => [name, saved.generation])),
      standing: session.sealedStanding,
      ...(session.answered ? { answered: [...session.answered] } : {}),
      ...(session.asked ? { asked: session.asked.all } : {}),
    }));
    let verdicts: readonly Verdict[] | undefined;
    while (!verdicts && isCurrent()) {
      verdicts = await directory.verifySessions(held).catch(() => undefined);
      if (!verdicts) await pause(clock, RETRY_MS);
    }
    if (!verdicts || !isCurrent()) return [];
    const wrong: Session[] = [];
    batch.forEach((session, i) => {
      if (session.state !== 'active' && session.state !== 'reclaiming') return;
      // Race: it was claimed back or changed while Redis answered.
      if (session.token !== held[i]?.token) return;
      if (verdicts[i] === 'valid') {
        this.#goOn(session);
        return;
      }
      if (verdicts[i] !== 'outdated') session.state = 'reclaiming';
      wrong.push(session);
    });
    return wrong;
  }

  async #reclaimAll(sessions: Session[], isCurrent: () => boolean, cause: ReclaimCause): Promise<void> {
    const total = sessions.length;
    const waiting = [...sessions];
    let kept = 0;
    const work = async () => {
      for (let session = waiting.pop(); session; session = waiting.pop()) {
        if (await this.#reclaim(session, isCurrent)) kept++;
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    if (total > 0) this.#parts.onReclaimed({ kept, dropped: total - kept, cause });
  }

  /**
   * Whatever the cause: Redis may have come back empty after an outage of any length. Until somebody has created the generation
   * anew, no missing session could ever be called gone.
   */
  async #rememberGeneration(isCurrent: () => boolean): Promise<void> {
    const { directory, clock, leaseMs } = this.#parts;
    while (isCurrent()) {
      try {
        await directory.checkGeneration(leaseMs);
        return;
      } catch (error) {
        if (!(error instanceof DirectoryUnavailable)) return;
        await pause(clock, RETRY_MS);
      }
    }
  }

  /** @returns whether it is still ours */
  async #reclaim(session: Session, isCurrent: () => boolean): Promise<boolean> {
    const { keeper, clock, regain, leaseMs, ender } = this.#parts;
    const incarnation = keeper.id;
    const nonce = mintNonce();
    const startedMs = clock.monotonicMs();
    const mayWriteAnew = () => clock.monotonicMs() < (this.#guardEnds.get(session) ?? Number.NEGATIVE_INFINITY);
    // Race: another lapse or reconnect starts another run; this one leaves the session to it.
    const isOurs = () => isCurrent() && (session.state === 'reclaiming' || session.state === 'active');
    while (isOurs()) {
      try {
        if (session.state === 'active') {
          // Its token is in force, only what is saved beside it is not all there: served on meanwhile.
          await this.#saveAgain(session);
          if (isOurs()) this.#goOn(session);
          return isOurs();
        }
        const outcome = await regain.regain(session, incarnation, nonce, mayWriteAnew);
        if (!isOurs()) return false;
        switch (outcome.kind) {
          case 'kept':
            session.token = { owner: incarnation, epoch: outcome.epoch };
            this.#goOn(session);
            return true;
          case 'ended':
            ender.finishElsewhere(session);
            return false;
          case 'missing':
          case 'older':
            // Who took it over meanwhile may have to write it anew first, and ending its backend sessions would end them for him.
            if (clock.monotonicMs() < startedMs + leaseMs) {
              await pause(clock, RETRY_MS);
              continue;
            }
            if (outcome.kind === 'missing') {
              ender.abandon(session);
              return false;
            }
            break;
          case 'taken':
        }
      } catch (error) {
        if (error instanceof DirectoryUnavailable && clock.monotonicMs() < startedMs + KEEP_MS) {
          await pause(clock, RETRY_MS);
          continue;
        }
      }
      break;
    }
    if (isOurs()) this.#drop(session);
    return false;
  }

  async #saveAgain(session: Session): Promise<void> {
    const { directory, regain } = this.#parts;
    const read = await directory.readSession(session.facts.ref);
    if (read.kind === 'found') await regain.reconcile(session, session.token, read.record);
  }

  /** Its record is as it should be. Whether the lease is there as well, the guard asks. */
  #goOn(session: Session): void {
    this.#unverified.delete(session);
    if (session.state === 'reclaiming') session.settle('active');
  }

  #keepAll(): void {
    this.#givingUp?.cancel();
    this.#givingUp = undefined;
  }

  /** Somebody else has it, or it is given up: memory closes, the record stays as it is. */
  #drop(session: Session): void {
    session.close('released', new GatewayError('OUTCOME_UNKNOWN', { message: 'the session moved to another worker' }));
    this.#parts.table.remove(session);
  }
}
