// One job of the teardown queue: end one backend session. Nothing readable at rest: id and headers are sealed.
import { createHash } from 'node:crypto';
import type { SessionRef } from '../protocol/ids.js';

export interface TeardownJob {
  /** Name of the backend in the configuration. */
  readonly backend: string;
  readonly sessionRef: SessionRef;
  readonly generation: number;
  readonly protocolVersion: string;
  /** The record's own sealed text: { id, headers }, sealed in the context `<ref>/<backend>`. */
  readonly sealed: string;
  /** An operator had it tried again then, ms since the epoch: its age counts from here. */
  readonly retriedMs?: number;
}

/** BullMQ drops a second job of the same id; it refuses colons and integers. */
export function teardownJobId(sessionRef: SessionRef, backend: string, backendSessionId: string): string {
  return `t-${createHash('sha256')
    .update(JSON.stringify([sessionRef, backend, backendSessionId]))
    .digest('hex')}`;
}

/** What sessions/ needs of the queue. */
export interface TeardownQueue {
  /** Adds one job per backend session, in one round trip. Rejects when Redis does not answer: the sweep over `ending` repeats it. */
  add(jobs: readonly TeardownJob[]): Promise<void>;
}
