// Every key of the directory, and nowhere else. On Redis Cluster the part in braces decides the slot: what one script touches shares
// a tag. The queue's keys (BullMQ's prefix, one tag) are named in teardown/.
import type { SessionRef, WorkerId } from '../protocol/ids.js';

/** Of a token that all workers share; one slot. */
export interface TokenKeys {
  /** Hash with the TTL of the token: version, freshUntil, sealed. */
  readonly token: string;
  /** String with TTL: who fetches the next one, or that nobody should for a while. */
  readonly claim: string;
}

export interface Keys {
  /** Hash: the record of a session. The reference alone is the tag, so that further keys of a session stay with it. */
  session(ref: SessionRef): string;
  /** String with TTL: a worker's lease. */
  lease(id: WorkerId): string;
  /** Sorted set of the references of one principal; score = when it was reserved (ms). */
  principal(digest: string): string;
  /** String with TTL: which session has this backend session (a digest of backend and id) open, and as which generation of it. */
  open(digest: string): string;
  /** Sorted set of all references; score = end of the idle time (ms). */
  readonly expiry: string;
  /** Sorted set of the references that are `closing`; score = since when (ms). */
  readonly ending: string;
  /** Sorted set of worker ids; score = end of the lease by the worker's wall clock (ms). */
  readonly workers: string;
  /** String with TTL: who sweeps in this interval. */
  readonly sweep: string;
  /** The same for sweeps that a cap asks for: a regular one must not keep them off for a minute. */
  readonly forcedSweep: string;
  /** String: changes when the data was lost. */
  readonly generation: string;
  /** String with TTL: owners are opening lost sessions anew. Shares a slot with `generation`: they are read in one command. */
  readonly settling: string;
  /** @param digest of whatever distinguishes one client at one authorization server from another: not of a secret */
  token(backend: string, digest: string): TokenKeys;
}

/** @param prefix `redis.prefix`; without braces, which would decide the slot of every key (the schema refuses them) */
export function makeKeys(prefix: string): Keys {
  return {
    session: (ref) => `${prefix}{${ref}}:session`,
    lease: (id) => `${prefix}worker:${id}`,
    principal: (digest) => `${prefix}principal:${digest}`,
    open: (digest) => `${prefix}open:${digest}`,
    expiry: `${prefix}expiry`,
    ending: `${prefix}ending`,
    workers: `${prefix}workers`,
    sweep: `${prefix}sweep`,
    forcedSweep: `${prefix}sweep:forced`,
    generation: `${prefix}{data}:generation`,
    settling: `${prefix}{data}:settling`,
    token: (backend, digest) => ({
      token: `${prefix}{token:${backend}:${digest}}`,
      claim: `${prefix}{token:${backend}:${digest}}:claim`,
    }),
  };
}
