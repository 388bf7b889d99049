// Ends a session by its reference, on the word of another worker or of the sweep: what is in the table, and what the record calls
// ours though we do not know it (a claim whose answer was lost, a release that failed), which is claimed first.
import type { Directory } from '../directory/directory.js';
import type { Clock } from '../lifecycle/clock.js';
import type { OwnerToken, SessionRef } from '../protocol/ids.js';
import type { EndCause } from '../streams/exchange.js';
import type { EndReason, SessionEnder } from './end-session.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { Session } from './session.js';
import type { SessionTable } from './session-table.js';
import type { TakeOver } from './take-over.js';

/**
 * ended: its record says `closing`, the rest follows · alive: in use, by our own clock or by the index · gone: there is no record ·
 * moved: another worker owns it · later: cannot be decided now.
 */
export type EndOutcome = 'ended' | 'alive' | 'gone' | 'moved' | 'later';

export interface EndHereParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly table: SessionTable;
  readonly ender: SessionEnder;
  readonly takeOver: TakeOver;
  /** `sessions.idleTimeout`, ms */
  readonly idleTimeoutMs: number;
}

export class EndHere {
  readonly #parts: EndHereParts;

  constructor(parts: EndHereParts) {
    this.#parts = parts;
  }

  /** Idempotent. @throws DirectoryUnavailable */
  async end(ref: SessionRef, cause: EndCause): Promise<EndOutcome> {
    const { directory, keeper, table, ender } = this.#parts;
    const session = table.getByRef(ref);
    if (session) return this.#endKnown(session, cause);
    const read = await directory.readSession(ref);
    if (read.kind === 'gone') return 'gone';
    if (read.kind === 'settling') return 'later';
    const { record } = read;
    if (!keeper.isOwn(record.owner)) return 'moved';
    if (record.state === 'closing') {
      ender.finishClosing(ref, record);
      return 'ended';
    }
    return keeper.mayClaim() ? this.claimAndEnd(ref, { owner: record.owner, epoch: record.epoch }, cause) : 'later';
  }

  /** Claimed first, so that a request that arrives now finds an owner that ends it, not a session to take over. `from` is free. */
  async claimAndEnd(ref: SessionRef, from: OwnerToken, cause: EndCause): Promise<EndOutcome> {
    const { takeOver, ender } = this.#parts;
    if (cause === 'idle' && (await this.#wasUsed(ref))) return 'alive';
    const ended = await takeOver.claimToEnd(ref, from, (token) => ender.endOrphan(ref, token, reasonOf(cause)));
    return ended ? 'ended' : 'later';
  }

  /**
   * Race: the sweep read its list up to half a minute ago (owners were silent), and since then another worker took it over, served it
   * and gave it up, which `from` does not show. Whoever gives up tells the last use first, so the index knows (unless that failed: the
   * index may be on a server that was away); a use that comes after this look changes the token, and the claim from `from` fails.
   */
  async #wasUsed(ref: SessionRef): Promise<boolean> {
    const { directory, clock } = this.#parts;
    const untilMs = await directory.readIdleEnd(ref);
    return untilMs !== undefined && untilMs >= clock.wallMs();
  }

  async #endKnown(session: Session, cause: EndCause): Promise<EndOutcome> {
    const { clock, directory, ender, idleTimeoutMs } = this.#parts;
    if (session.state === 'ended') return 'ended';
    const isInUse = session.standalone !== undefined || !session.isIdle;
    if (cause === 'idle' && (isInUse || session.lastUsedMs + idleTimeoutMs > clock.wallMs())) {
      // The index lagged behind: else every sweep would ask again.
      const usedMs = isInUse ? clock.wallMs() : session.lastUsedMs;
      await directory.touchSessions([{ ref: session.facts.ref, untilMs: usedMs + idleTimeoutMs }]);
      return 'alive';
    }
    if (!session.mayAct()) return 'later';
    return (await ender.end(session, reasonOf(cause))) === 'ended' ? 'ended' : 'moved';
  }
}

function reasonOf(cause: EndCause): EndReason {
  return cause === 'closing' ? 'deleted' : cause;
}
