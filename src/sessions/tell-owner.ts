// Ends sessions of other workers: tells the owner, or goes on in its place once its lease is gone. Only the owner, or who claimed
// the session from it then, queues the jobs.
import {
  type Directory,
  DirectoryUnavailable,
  type Lease,
  type SessionRecord,
  UnreadableRecord,
} from '../directory/directory.js';
import { type Clock, pause } from '../lifecycle/clock.js';
import type { OwnerToken, SessionRef } from '../protocol/ids.js';
import type { EndCause } from '../streams/exchange.js';
import type { EndHere, EndOutcome } from './end-here.js';
import type { SessionEnder } from './end-session.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { SessionTable } from './session-table.js';

/** `silent`: its owner lives but does not answer. `unreadable`: there is no use in asking again. */
export type TellOutcome = Exclude<EndOutcome, 'moved'> | 'silent' | 'unreadable';

export interface OwnerTellerParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly table: SessionTable;
  readonly ender: SessionEnder;
  readonly endHere: EndHere;
  /** Over the hop; never rejects. */
  readonly ask: (to: Lease, ref: SessionRef, cause: EndCause, withinMs: number) => Promise<EndOutcome | 'silent'>;
  /** Tells all workers that a session was ended in place of its owner; may be lost. */
  readonly announce: (ref: SessionRef) => void;
  readonly warn: (message: string, details: Record<string, unknown>) => void;
}

/** How long an owner may take to answer, before the session is ended in its place. */
export const ANSWER_MS = 1000;
/** A session that changes owners faster than it can be told is told later. */
const MAX_MOVES = 3;
/** Sessions whose owners are told again and again; what is beyond waits in `ending` for the sweep. Each costs two commands a second. */
const MAX_TOLD = 64;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 1000;
/** Silent owners lose their lease within seconds. One that is told for so long in vain is left to the sweep. */
const GIVE_UP_MS = 300_000;

export class OwnerTeller {
  readonly #parts: OwnerTellerParts;
  readonly #told = new Set<SessionRef>();
  #stopped = false;

  constructor(parts: OwnerTellerParts) {
    this.#parts = parts;
  }

  /** Once. Resolves within about `withinMs`; never rejects for a silent directory (`later`). */
  async tell(ref: SessionRef, cause: EndCause, withinMs = ANSWER_MS): Promise<TellOutcome> {
    try {
      for (let moves = 0; moves < MAX_MOVES; moves++) {
        const outcome = await this.#tellOnce(ref, cause, withinMs);
        if (outcome !== 'moved') return outcome;
      }
    } catch (error) {
      if (error instanceof UnreadableRecord) return 'unreadable';
      if (!(error instanceof DirectoryUnavailable)) throw error;
    }
    return 'later';
  }

  /** Of a session that is `closing` already: again and again, until its owner has answered or was replaced. Once per session. */
  keepTelling(ref: SessionRef): void {
    if (this.#told.has(ref) || this.#told.size >= MAX_TOLD) return;
    this.#told.add(ref);
    void this.#repeat(ref).finally(() => this.#told.delete(ref));
  }

  /** Nothing is told again. What is left is found in `ending`. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * For a DELETE whose owner does not answer: the id is dead on every worker from now on, and the owner is told until it knows.
   * @param of a stranger to the session ends nothing (`foreign`: another principal; `gone`: another server)
   * @param told the pair that was silent; `moved` if another one is in force
   * @throws DirectoryUnavailable
   */
  async closeInPlaceOf(
    told: OwnerToken,
    ref: SessionRef,
    of: { readonly serverId: string; readonly principal: string },
  ): Promise<'closing' | 'gone' | 'foreign' | 'moved'> {
    const { directory, clock } = this.#parts;
    const read = await directory.readSession(ref);
    // The owner did what it was told, and was late to say so.
    if (read.kind === 'gone') return 'closing';
    if (read.kind === 'settling') return 'moved';
    const { record } = read;
    if (record.principal !== of.principal) return 'foreign';
    if (record.serverId !== of.serverId) return 'gone';
    if (record.owner !== told.owner || record.epoch !== told.epoch) return 'moved';
    const outcome = await directory.closeSession(ref, told);
    if (outcome.kind === 'fenced') return 'moved';
    // Before the answer: whoever remembers the owner would wait for it. The record says so already, to those that read it.
    this.#parts.announce(ref);
    if (outcome.kind === 'missing') return 'closing';
    // Should this fail, `keepTelling` still knows; should we die as well, the owner or the end of the idle time brings it back.
    await directory.addEnding(ref, clock.wallMs()).then(
      () => directory.dropReservations(ref, record.principal).catch(() => undefined),
      () => undefined,
    );
    this.keepTelling(ref);
    return 'closing';
  }

  async #tellOnce(ref: SessionRef, cause: EndCause, withinMs: number): Promise<TellOutcome | 'moved'> {
    const { directory, keeper, table, endHere, ask } = this.#parts;
    if (cause !== 'closing' && table.getByRef(ref)) return endHere.end(ref, cause);
    const read = await directory.readSession(ref);
    if (read.kind !== 'found') return read.kind === 'gone' ? 'gone' : 'later';
    const { record } = read;
    // A member of `ending` whose closing was refused: it lives.
    if (cause === 'closing' && record.state !== 'closing') return 'later';
    if (keeper.isOwn(record.owner)) return endHere.end(ref, cause);
    const lease = record.owner !== '' && (await directory.readLease(record.owner));
    // A DELETE was accepted for it: no clock of its owner may say otherwise.
    if (lease) return ask(lease, ref, record.state === 'closing' ? 'closing' : cause, withinMs);
    // Rule 2: a lease that is gone never comes back.
    return keeper.mayTakeOver() ? this.#endInPlaceOf(record, ref, cause) : 'later';
  }

  async #endInPlaceOf(record: SessionRecord, ref: SessionRef, cause: EndCause): Promise<TellOutcome | 'moved'> {
    const { directory, keeper, ender, endHere, announce } = this.#parts;
    const from: OwnerToken = { owner: record.owner, epoch: record.epoch };
    if (record.state !== 'closing') {
      const outcome = await endHere.claimAndEnd(ref, from, cause);
      // Its owner may be stopped instead of dead: hops to it would hang. Nobody asks for what was idle for hours.
      if (outcome === 'ended' && cause !== 'idle') announce(ref);
      return outcome;
    }
    const claim = await directory.claimEnding(ref, from, keeper.id);
    if (claim.kind === 'missing') return 'gone';
    if (claim.kind !== 'claimed') return 'moved';
    ender.finishClosing(ref, claim.record, 'deleted');
    return 'ended';
  }

  async #repeat(ref: SessionRef): Promise<void> {
    const { clock, warn } = this.#parts;
    const untilMs = clock.monotonicMs() + GIVE_UP_MS;
    for (let pauseMs = FIRST_PAUSE_MS; !this.#stopped; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
      const outcome = await this.tell(ref, 'closing').catch((error: unknown) => String(error));
      if (outcome === 'ended' || outcome === 'gone') return;
      if (outcome === 'unreadable' || clock.monotonicMs() > untilMs) {
        warn('an owner that should end a session is left to the sweep', { session: ref, outcome });
        return;
      }
      await pause(clock, pauseMs);
    }
  }
}
