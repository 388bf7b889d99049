// Makes one session of this worker's memory its own again in the directory: by compare-and-set from exactly its own token, or, where
// Redis lost what was written, by writing it anew.
import type { Directory, NewSessionRecord, SessionRecord } from '../directory/directory.js';
import type { Clock } from '../lifecycle/clock.js';
import type { Epoch, OwnerToken, WorkerId } from '../protocol/ids.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { Session } from './session.js';

export interface RegainParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  /** `sessions.idleTimeout`, ms */
  readonly idleTimeoutMs: number;
  /** Whether `sessions.maxPerPrincipal` binds this principal (a digest). */
  readonly isCapped: (principal: string) => boolean;
}

export type Regained =
  | { readonly kind: 'kept'; readonly epoch: Epoch }
  /** Another worker has it. */
  | { readonly kind: 'taken' }
  /** The record went back to an earlier owner whose lease is (still) there: neither his nor ours yet. */
  | { readonly kind: 'older' }
  | { readonly kind: 'ended' }
  /** The record is missing, and it is too late to write it anew. */
  | { readonly kind: 'missing' };

/** Each further attempt answers to a record that changed meanwhile. */
const ATTEMPTS = 4;

export class Regain {
  readonly #parts: RegainParts;

  constructor(parts: RegainParts) {
    this.#parts = parts;
  }

  /**
   * @param nonce of this session and run: after a lost answer the same call goes on where it was
   * @param mayWriteAnew false once the guard of the incarnation that held the session has ended: a suspended worker registers nothing
   * @throws DirectoryUnavailable
   */
  async regain(session: Session, claimant: WorkerId, nonce: string, mayWriteAnew: () => boolean): Promise<Regained> {
    const { directory, keeper } = this.#parts;
    const { ref } = session.facts;
    const held = session.token;
    let from = held;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const outcome = await directory.claimSession(ref, from, claimant, nonce, held.epoch);
      switch (outcome.kind) {
        case 'claimed':
          // What it was shown in an interval that Redis lost is saved with the next answer: what the record has may be older.
          session.savedPins = 0;
          await this.reconcile(session, { owner: claimant, epoch: outcome.epoch }, outcome.record);
          return { kind: 'kept', epoch: outcome.epoch };
        case 'closing':
          return { kind: 'ended' };
        case 'missing': {
          if (!mayWriteAnew()) return { kind: 'missing' };
          const written = await this.#write(session, claimant, nonce);
          if (typeof written === 'number') return { kind: 'kept', epoch: written };
          if (written === 'closing') return { kind: 'ended' };
          continue;
        }
        case 'ownedByOther': {
          const { token } = outcome;
          // Race: an earlier run claimed it, its answer was lost, and the lease ran out again. Still nobody else has touched it: while
          // a session is in our table, no other part of this process claims it.
          if (!keeper.isOwn(token.owner)) {
            if (token.epoch >= held.epoch) return { kind: 'taken' };
            // Older than what we hold: Redis came back without our claim. Whoever it names gave the session up or was dead before we
            // got it; but if it lives, it may take the record at its word. From a dead one it is an ordinary claim.
            if (token.owner !== '' && (await directory.readLease(token.owner))) return { kind: 'older' };
          }
          from = token;
        }
      }
    }
    return { kind: 'taken' };
  }

  /** The record knows what memory knows: what was saved in the interval that Redis lost is saved again. */
  async reconcile(
    session: Session,
    token: OwnerToken,
    saved: Pick<SessionRecord, 'backends' | 'standing' | 'answered' | 'asked'>,
  ): Promise<void> {
    const { directory } = this.#parts;
    const { ref } = session.facts;
    const { sealedStanding, answered = [], asked } = session;
    if ((saved.standing ?? '') !== sealedStanding) {
      await directory.saveStanding(ref, token, sealedStanding);
      if (session.standing) session.standing.saved = sealedStanding;
    }
    const marks = [...answered].filter((mark) => !saved.answered?.includes(mark));
    const ids = (asked?.all ?? []).filter((ours) => !saved.asked?.includes(ours));
    await Promise.all([
      ...marks.map((mark) => directory.noteAnswered(ref, token, mark)),
      ...ids.map((ours) => directory.noteAsked(ref, token, ours)),
    ]);
    let isBehind = false;
    for (const [backend, value] of Object.entries(session.savedBackends())) {
      const known = saved.backends[backend]?.generation ?? 0;
      if (known >= value.generation) continue;
      isBehind = true;
      await directory.saveBackendSession(ref, token, backend, known, value);
    }
    if (isBehind) await this.#takePlaces(session);
  }

  /** @returns the epoch, or what stands in the way */
  async #write(session: Session, owner: WorkerId, nonce: string): Promise<Epoch | 'exists' | 'closing'> {
    const { facts, token } = session;
    const record: NewSessionRecord = {
      owner,
      epoch: (token.epoch + 1) as Epoch,
      serverId: facts.server.id,
      principal: facts.principal,
      protocolVersion: facts.protocolVersion,
      client: facts.client,
      createdMs: facts.createdMs,
      backends: session.savedBackends(),
      names: session.pins.toSaved(),
      ...(session.sealedStanding === '' ? {} : { standing: session.sealedStanding }),
      ...(session.answered ? { answered: [...session.answered] } : {}),
      ...(session.asked ? { asked: session.asked.all } : {}),
    };
    const outcome = await this.#parts.directory.createSession(facts.ref, record, nonce);
    if (outcome !== 'created') return outcome;
    await this.#takePlaces(session);
    return record.epoch;
  }

  /** A cap never refuses a session that lives already. */
  async #takePlaces(session: Session): Promise<void> {
    const { directory, clock, idleTimeoutMs, isCapped } = this.#parts;
    const { ref, principal } = session.facts;
    const untilMs = clock.wallMs() + idleTimeoutMs;
    await directory.reserveTotal(ref, untilMs, Number.MAX_SAFE_INTEGER);
    if (isCapped(principal)) await directory.reservePrincipal(principal, ref, Number.MAX_SAFE_INTEGER);
    await directory.touchSessions([{ ref, untilMs }]);
  }
}
