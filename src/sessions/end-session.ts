// Ends sessions, whatever the cause. Order: memory closed → record `closing` → `ending` → places under the caps given back → answer →
// jobs → record gone (ADR 12). Each step is idempotent; what a crash interrupts, the sweep over `ending` goes on with.
import { type Directory, DirectoryUnavailable, type SessionRecord, UnreadableRecord } from '../directory/directory.js';
import { GatewayError } from '../errors/gateway-error.js';
import { type Clock, pause, type Timer } from '../lifecycle/clock.js';
import type { OwnerToken, SessionRef } from '../protocol/ids.js';
import type { TeardownJob, TeardownQueue } from '../teardown/job.js';
import type { Session } from './session.js';
import type { SessionTable } from './session-table.js';

/** `removed`: its virtual server is no longer configured. `abandoned`: whoever asked for it had left before it was told of. */
export type EndReason = 'deleted' | 'killed' | 'idle' | 'state_lost' | 'drain' | 'removed' | 'abandoned';

export interface EndSessionParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly table: SessionTable;
  readonly queue: TeardownQueue;
  readonly onEnded: (session: Session | undefined, reason: EndReason) => void;
  readonly warn: (message: string, details: Record<string, unknown>) => void;
}

/** For so long, ms, an ended session is ended again when Redis has lost data: its record may be back, alive. */
const TOMBSTONE_MS = 60_000;
const MAX_TOMBSTONES = 10_000;
/** Of them, ended again at a time. */
const PARALLEL = 16;
/** What the steps after `closing` need of a record. */
type Ending = Pick<SessionRecord, 'principal' | 'backends'>;

const RETRY_MS = 250;
/** Steps after `closing` are tried here for so long; then the sweep has them. */
const FINISH_MS = 30_000;
/** An answer waits no longer for places that a slow Redis is to give back. */
const PLACES_MS = 250;

export class SessionEnder {
  readonly #parts: EndSessionParts;
  /** Work after the answer, awaited by the drain. */
  readonly #finishing = new Set<Promise<void>>();
  /** Of which sessions that is. */
  readonly #underWay = new Set<SessionRef>();
  /** Endings whose places are not given back yet; each resolves when they are, or when nobody here tries any more. */
  readonly #leaving = new Map<SessionRef, Promise<void>>();
  /** What was ended here lately, oldest first: older data of Redis would have it alive. */
  readonly #tombstones = new Map<SessionRef, { readonly ending: Ending; readonly endedMs: number }>();

  constructor(parts: EndSessionParts) {
    this.#parts = parts;
  }

  /**
   * Ends a session that this worker owns. Resolves when the record says `closing` (the id is dead on every worker) and its places are
   * free: who was told that it ended may open another one at once.
   * The session stays in the table as `ended` until then, so that nobody here claims it back from a record that still looks alive.
   * @returns `fenced`: another worker took it over first (our lease ran out while Redis was silent), and it lives on there
   */
  async end(session: Session, reason: EndReason): Promise<'ended' | 'fenced'> {
    // Race: a claim on its way would leave a record that is ours and active, with nobody who serves or ends it.
    if (session.state === 'reclaiming') await session.settled();
    if (session.state === 'ended' || session.state === 'released') return 'ended';
    const { ref, principal } = session.facts;
    const backends = session.savedBackends();
    session.close('ended', new GatewayError('SESSION_NOT_FOUND'));
    for (;;) {
      try {
        const outcome = await this.#parts.directory.closeSession(ref, session.token);
        if (outcome.kind === 'fenced') {
          this.#parts.table.remove(session);
          return 'fenced';
        }
        // Redis lost the record and we had not registered it anew: only memory knows what is still open at the backends. If
        // another worker ended it, its jobs have the same ids.
        // The record may be older than memory: jobs of both, and their ids make a second one harmless.
        const known = outcome.kind === 'missing' ? {} : outcome.record.backends;
        this.#bury(ref, { principal, backends: { ...known, ...backends } });
        break;
      } catch (error) {
        if (!(error instanceof DirectoryUnavailable)) throw error;
        if (error instanceof UnreadableRecord) {
          // It says `closing` by now, and to ask again would never read it: memory knows what there is to end.
          this.#parts.warn('the record of a session that ends cannot be read', { session: ref, error: String(error.cause) });
          this.#bury(ref, { principal, backends });
          break;
        }
        await pause(this.#parts.clock, RETRY_MS);
      }
    }
    this.#parts.table.remove(session);
    this.#parts.onEnded(session, reason);
    await this.#soon(this.#leaving.get(ref));
    return 'ended';
  }

  /** Ends what nobody serves: a dead owner's session that expired. `from` was found free by the caller. */
  async endOrphan(ref: SessionRef, token: OwnerToken, reason: EndReason): Promise<boolean> {
    const outcome = await this.#parts.directory.closeSession(ref, token);
    if (outcome.kind !== 'closed' && outcome.kind !== 'alreadyClosing') return false;
    this.#bury(ref, outcome.record);
    this.#parts.onEnded(undefined, reason);
    await this.#soon(this.#leaving.get(ref));
    return true;
  }

  /** The record of a session in our table says `closing`: somebody else set it. Memory closes, the steps that are left are done. */
  finishElsewhere(session: Session): void {
    const backends = session.savedBackends();
    this.#close(session);
    this.#track(session.facts.ref, this.#finishByRecord(session.facts.ref, backends));
    this.#parts.onEnded(session, 'deleted');
  }

  /** The record of a session in our table is gone and may not be written anew: only memory knows what is open at the backends. */
  abandon(session: Session, backends = session.savedBackends()): void {
    const { ref, principal } = session.facts;
    this.#close(session);
    this.#finish(ref, { principal, backends });
    this.#parts.onEnded(session, 'state_lost');
  }

  /**
   * Redis has lost data: what was ended here within the last minute may be alive in it again, even under another owner, and jobs may be
   * missing from the queue. Their ids make a second job of the same backend session harmless.
   */
  endAgain(): void {
    this.#forgetOld();
    const waiting = [...this.#tombstones];
    const work = async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) {
        const [ref, { ending }] = next;
        await this.#track(ref, this.#endAgain(ref, ending));
      }
    };
    // Not all at once: renewals and verifications go over the same connection.
    for (let i = 0; i < PARALLEL; i++) void work();
  }

  async #endAgain(ref: SessionRef, ending: Ending): Promise<void> {
    await this.#insist(() => this.#parts.directory.closeSession(ref, undefined));
    await this.#steps(ref, ending);
  }

  #close(session: Session): void {
    session.close('ended', new GatewayError('SESSION_NOT_FOUND'));
    this.#parts.table.remove(session);
  }

  #bury(ref: SessionRef, ending: Ending): void {
    this.#forgetOld();
    this.#tombstones.set(ref, { ending, endedMs: this.#parts.clock.monotonicMs() });
    this.#finish(ref, ending);
  }

  #forgetOld(): void {
    const oldestMs = this.#parts.clock.monotonicMs() - TOMBSTONE_MS;
    for (const [ref, { endedMs }] of this.#tombstones) {
      if (endedMs >= oldestMs && this.#tombstones.size < MAX_TOMBSTONES) return;
      this.#tombstones.delete(ref);
    }
  }

  /** @param held what memory knows to be open besides */
  async #finishByRecord(ref: SessionRef, held: Ending['backends']): Promise<void> {
    const outcome = await this.#parts.directory.closeSession(ref, undefined);
    if (outcome.kind === 'closed' || outcome.kind === 'alreadyClosing') {
      const { principal, backends } = outcome.record;
      await this.#steps(ref, { principal, backends: { ...backends, ...held } });
    } else if (outcome.kind === 'missing') await this.#steps(ref, { principal: '', backends: held });
  }

  /**
   * Goes on with a session that was left in `closing`: for its owner, or who claimed it from a dead one. Joins what runs already.
   * @param reason counts it, if nobody who still lives has
   */
  finishClosing(ref: SessionRef, record: Ending, reason?: EndReason): void {
    if (!this.#underWay.has(ref)) this.#bury(ref, record);
    if (reason) this.#parts.onEnded(undefined, reason);
  }

  /** Resolves when what has ended here takes no place any more, and soon if Redis is slow. */
  placesGivenBack(): Promise<void> {
    return this.#soon(this.#leaving.size === 0 ? undefined : Promise.all(this.#leaving.values()));
  }

  async #soon(work: Promise<unknown> | undefined): Promise<void> {
    if (!work) return;
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = this.#parts.clock.after(PLACES_MS, resolve);
    });
    await Promise.race([work, late]);
    timer?.cancel();
  }

  /** Resolves when everything that was begun is done, or after `withinMs`. */
  async settle(withinMs: number): Promise<void> {
    await Promise.race([Promise.allSettled([...this.#finishing]), pause(this.#parts.clock, withinMs)]);
  }

  #finish(ref: SessionRef, record: Ending): void {
    this.#track(ref, this.#steps(ref, record));
  }

  #track(ref: SessionRef, steps: Promise<void>): Promise<void> {
    this.#underWay.add(ref);
    const work = steps
      .catch((error: unknown) =>
        this.#parts.warn('ending a session is left to the sweep', { session: ref, error: String(error) }),
      )
      .finally(() => {
        this.#finishing.delete(work);
        this.#underWay.delete(ref);
      });
    this.#finishing.add(work);
    return work;
  }

  async #steps(ref: SessionRef, record: Ending): Promise<void> {
    const { directory, queue } = this.#parts;
    const leaving = this.#leave(ref, record.principal);
    const over = leaving.catch(() => undefined).finally(() => this.#leaving.delete(ref));
    this.#leaving.set(ref, over);
    await leaving;
    await this.#insist(() => queue.add(jobsOf(ref, record)));
    await this.#insist(() => directory.removeSession(ref, record.principal));
  }

  /** First known as ending, then out of the indexes: at any time one of them finds it. */
  async #leave(ref: SessionRef, principal: string): Promise<void> {
    const { directory, clock } = this.#parts;
    await this.#insist(() => directory.addEnding(ref, clock.wallMs()));
    await this.#insist(() => directory.dropReservations(ref, principal));
  }

  async #insist(step: () => Promise<unknown>): Promise<void> {
    const { clock } = this.#parts;
    const untilMs = clock.monotonicMs() + FINISH_MS;
    for (;;) {
      try {
        await step();
        return;
      } catch (error) {
        if (clock.monotonicMs() > untilMs) throw error;
        await pause(clock, RETRY_MS);
      }
    }
  }
}

/** One job per HTTP backend session; a stdio child ended with its worker. */
export function jobsOf(ref: SessionRef, record: Pick<SessionRecord, 'backends'>): TeardownJob[] {
  return Object.entries(record.backends)
    .filter(([, backend]) => backend.transport === 'http')
    .map(([backend, saved]) => ({
      backend,
      sessionRef: ref,
      generation: saved.generation,
      protocolVersion: saved.protocolVersion,
      sealed: saved.sealed,
    }));
}
