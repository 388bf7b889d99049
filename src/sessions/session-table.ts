// The sessions of this worker, by id (requests) and by reference (claims, sweep). Nothing else holds a Session.
import type { SessionId, SessionRef } from '../protocol/ids.js';
import type { Session } from './session.js';

export class SessionTable {
  readonly #byId = new Map<SessionId, Session>();
  readonly #byRef = new Map<SessionRef, Session>();

  get(id: SessionId): Session | undefined {
    return this.#byId.get(id);
  }

  getByRef(ref: SessionRef): Session | undefined {
    return this.#byRef.get(ref);
  }

  add(session: Session): void {
    this.#byId.set(session.facts.id, session);
    this.#byRef.set(session.facts.ref, session);
  }

  /** Removes exactly this session: a successor of the same id stays. */
  remove(session: Session): void {
    if (this.#byId.get(session.facts.id) !== session) return;
    this.#byId.delete(session.facts.id);
    this.#byRef.delete(session.facts.ref);
  }

  get size(): number {
    return this.#byId.size;
  }

  [Symbol.iterator](): IterableIterator<Session> {
    return this.#byId.values();
  }
}
