// Who owns which session, as last heard: voided by a 421, a broken hop or a newer epoch. A stale entry costs one extra hop and never
// a wrong execution, because every hop names the token it believes in. But an owner that hangs refuses no hop: of a session that was
// ended in its place the other workers are told, and from then on nobody is named as its owner here.
import { LRUCache } from 'lru-cache';
import type { Lease } from '../directory/directory.js';
import type { OwnerToken, SessionId, SessionRef } from '../protocol/ids.js';

export interface KnownOwner {
  /** Of the session; for the log. */
  readonly ref: SessionRef;
  readonly token: OwnerToken;
  readonly lease: Lease;
  /** That the session negotiated: goes with every answer in it, also when we answer in its owner's place. */
  readonly protocolVersion: string;
}

/** Entries, about 300 B each. */
const MAX_OWNERS = 20_000;
/** Remembered for reads that were under way; ids are never used again. About 100 B each. */
const MAX_ENDED = 10_000;

export class OwnerCache {
  readonly #owners = new LRUCache<SessionId, KnownOwner>({
    max: MAX_OWNERS,
    dispose: ({ ref }, id) => {
      if (this.#ids.get(ref) === id) this.#ids.delete(ref);
    },
    noDisposeOnSet: true,
  });
  readonly #ids = new Map<SessionRef, SessionId>();
  readonly #ended = new LRUCache<SessionRef, true>({ max: MAX_ENDED });

  get(id: SessionId): KnownOwner | undefined {
    return this.#owners.get(id);
  }

  set(id: SessionId, owner: KnownOwner): void {
    this.#ids.set(owner.ref, id);
    this.#owners.set(id, owner);
  }

  /** The session was ended in place of its owner. */
  end(ref: SessionRef): void {
    this.#ended.set(ref, true);
    const id = this.#ids.get(ref);
    if (id !== undefined) this.#owners.delete(id);
  }

  hasEnded(ref: SessionRef): boolean {
    return this.#ended.has(ref);
  }

  forget(id: SessionId): void {
    this.#owners.delete(id);
  }

  get size(): number {
    return this.#owners.size;
  }
}
