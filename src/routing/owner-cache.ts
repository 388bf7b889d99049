// Who owns which session, as last heard: voided by a 421, a broken hop or a newer epoch. A stale entry costs one extra hop and never
// a wrong execution, because every hop names the token it believes in.
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

export class OwnerCache {
  readonly #owners = new LRUCache<SessionId, KnownOwner>({ max: MAX_OWNERS });

  get(id: SessionId): KnownOwner | undefined {
    return this.#owners.get(id);
  }

  set(id: SessionId, owner: KnownOwner): void {
    this.#owners.set(id, owner);
  }

  forget(id: SessionId): void {
    this.#owners.delete(id);
  }

  get size(): number {
    return this.#owners.size;
  }
}
