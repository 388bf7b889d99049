// Claims a session that nobody owns or whose owner is dead, and goes on with the same backend sessions. Single-flight per session:
// fifty requests for an orphan make one claim.
import type { Directory, SessionRecord } from '../directory/directory.js';
import type { Clock } from '../lifecycle/clock.js';
import { mintNonce, type OwnerToken, referenceOf, type SessionId, type SessionRef } from '../protocol/ids.js';
import { NamePins } from '../servers/name-pins.js';
import { goneServer, type VirtualServer } from '../servers/virtual-server.js';
import type { LeaseKeeper } from './lease-keeper.js';
import { markOf } from './question-id.js';
import { Session } from './session.js';
import type { SessionBackends } from './session-backends.js';
import type { SessionTable } from './session-table.js';

export interface TakeOverParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly table: SessionTable;
  readonly sessionBackends: SessionBackends;
  readonly findServer: (serverId: string) => VirtualServer | undefined;
  readonly onTakenOver: (session: Session, from: OwnerToken) => void;
}

export class TakeOver {
  readonly #parts: TakeOverParts;
  readonly #running = new Map<SessionRef, Promise<Session | undefined>>();

  constructor(parts: TakeOverParts) {
    this.#parts = parts;
  }

  /**
   * Claims from exactly `from`, which the caller found free (routing has read the lease).
   * @returns undefined when somebody else was first, the session ended, or Redis is silent: decide again
   */
  takeOver(id: SessionId, from: OwnerToken, record: SessionRecord): Promise<Session | undefined> {
    const ref = referenceOf(id);
    const { table } = this.#parts;
    const claim = () => this.#claim(id, ref, from, record);
    return this.#running.get(ref) ?? this.#run(ref, table.whileClaiming(ref, claim));
  }

  /**
   * Claims from exactly `from`, which the caller found free, in order to end it.
   *
   * Race: two claims by one worker. The second fences the first without its knowing, since only the epoch tells them apart in
   * memory, and the session would be served here after its end. So the two kinds exclude each other.
   * @param end what is done with the token, as long as nobody else here may claim; its result is ours
   * @returns false as well when it is being taken over here, or somebody else was first
   */
  async claimToEnd(ref: SessionRef, from: OwnerToken, end: (token: OwnerToken) => Promise<boolean>): Promise<boolean> {
    const { directory, keeper, table } = this.#parts;
    if (this.#running.has(ref) || table.concerns(ref)) return false;
    const claimant = keeper.id;
    const work = directory
      .claimSession(ref, from, claimant, mintNonce())
      .then((outcome) => outcome.kind === 'claimed' && end({ owner: claimant, epoch: outcome.epoch }));
    void this.#run(
      ref,
      work.then(() => undefined),
    );
    return work;
  }

  #run(ref: SessionRef, work: Promise<Session | undefined>): Promise<Session | undefined> {
    const running = work.catch(() => undefined).finally(() => this.#running.delete(ref));
    this.#running.set(ref, running);
    return running;
  }

  async #claim(id: SessionId, ref: SessionRef, from: OwnerToken, seen: SessionRecord): Promise<Session | undefined> {
    const { directory, clock, keeper, table, sessionBackends, findServer, onTakenOver } = this.#parts;
    const present = table.get(id);
    if (present) return present;
    if (!findServer(seen.serverId)) return undefined;
    const claimant = keeper.id;
    const { connectionsLost } = keeper;
    const outcome = await directory.claimSession(ref, from, claimant, mintNonce());
    if (outcome.kind !== 'claimed') return undefined;
    // Race: our incarnation changed while Redis answered. The claim stands for the old one; decided again, it is claimed from that.
    // And a claim under a lease that is gone without our knowing (lost data) would be free for everybody.
    if (keeper.id !== claimant || !(await directory.readLease(claimant)) || keeper.id !== claimant) return undefined;
    // Race: the connection was lost in between, and the claim perhaps with the data: what is verified then does not know it yet.
    if (keeper.connectionsLost !== connectionsLost) return undefined;
    const { record } = outcome;
    const facts = {
      id,
      ref,
      get server() {
        return findServer(record.serverId) ?? goneServer(record.serverId);
      },
      principal: record.principal,
      protocolVersion: record.protocolVersion,
      client: record.client,
      createdMs: record.createdMs,
    };
    const session = new Session(facts, { owner: claimant, epoch: outcome.epoch }, keeper, clock.wallMs(), table);
    session.pins = new NamePins(record.names);
    session.inheritedStanding = record.standing;
    if (record.answered) session.answered = new Set(record.answered);
    for (const ours of record.asked ?? []) if (!session.answered?.has(markOf(ours))) session.noteAsked(ours);
    table.add(session);
    sessionBackends.restore(session, record.backends);
    onTakenOver(session, from);
    return session;
  }
}
