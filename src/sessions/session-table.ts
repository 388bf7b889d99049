// The sessions of this worker, by id (requests) and by reference (claims, sweep). Nothing else holds a Session.
import type { SessionId, SessionRef } from '../protocol/ids.js';
import { EventBudget } from '../streams/event-budget.js';
import type { Readers } from '../streams/readers.js';
import type { Session } from './session.js';

export class SessionTable {
  readonly #byId = new Map<SessionId, Session>();
  readonly #byRef = new Map<SessionRef, Session>();
  readonly #claiming = new Set<SessionRef>();
  /** What the streams of all of them may remember. */
  readonly eventBudget = new EventBudget();
  /** Who reads them. */
  readonly readers: Readers | undefined;

  /** @param readers default: nobody counts them or ends those that stall */
  constructor(readers?: Readers) {
    this.readers = readers;
  }

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

  /** A take-over is on its way: until it is over, the record may name this worker although the session is not in the table. */
  async whileClaiming<T>(ref: SessionRef, claim: () => Promise<T>): Promise<T> {
    this.#claiming.add(ref);
    try {
      return await claim();
    } finally {
      this.#claiming.delete(ref);
    }
  }

  /** Served here, or about to be. */
  concerns(ref: SessionRef): boolean {
    return this.#byRef.has(ref) || this.#claiming.has(ref);
  }

  get size(): number {
    return this.#byId.size;
  }

  [Symbol.iterator](): IterableIterator<Session> {
    return this.#byId.values();
  }
}
