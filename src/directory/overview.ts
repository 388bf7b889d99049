// What operators see of the directory: lists of it, read-only. Apart from the contract of ownership, since nothing is decided by it.
// Every method rejects with DirectoryUnavailable when Redis does not answer in time.
import type { SessionRef } from '../protocol/ids.js';
import type { Lease, SessionRecord } from './directory.js';

/** Where a list of sessions goes on: after this member of the expiry index. */
export interface ListPosition {
  readonly ref: SessionRef;
  /** End of its idle time when it was listed, ms since the epoch. */
  readonly untilMs: number;
}

export interface ListedSession extends ListPosition {
  /** Undefined: it is being opened, or has just ended. */
  readonly record: SessionRecord | 'unreadable' | undefined;
}

export interface ListedLease {
  readonly lease: Lease;
  /** Until it runs out unless it is renewed, ms, by the clock of Redis. */
  readonly leftMs: number;
}

export interface Overview {
  /**
   * Sessions of the whole cluster, those whose idle time ends first at the front. Use moves a session back, so a list that is read page
   * by page misses none that lives all the while; one that was used meanwhile may come twice.
   * @returns fewer than `limit` only at the end
   */
  listSessions(after: ListPosition | undefined, limit: number): Promise<ListedSession[]>;
  /** End of a session's idle time, ms since the epoch; undefined if it is not in the index. */
  readExpiry(ref: SessionRef): Promise<number | undefined>;
  /** Live workers of all pods. */
  listLeases(): Promise<ListedLease[]>;
}
