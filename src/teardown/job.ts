// One job of the teardown queue: end one backend session. Nothing readable at rest: id and headers are sealed.
import { createHash } from 'node:crypto';
import type { SessionRef } from '../protocol/ids.js';

export interface TeardownJob {
  /** Name of the backend in the configuration. */
  readonly backend: string;
  readonly sessionRef: SessionRef;
  readonly generation: number;
  readonly protocolVersion: string;
  /** The record's own sealed text: { id, headers, url }, sealed in the context `<ref>/<backend>`. */
  readonly sealed: string;
  /** An operator had it tried again then, ms since the epoch: its age counts from here. */
  readonly retriedMs?: number;
}

/**
 * BullMQ drops a second job of the same id; it refuses colons and integers. With the generation: an id that the backend issued to the
 * same session again is another backend session, whose job must not be dropped for that of the first.
 */
export function teardownJobId(
  { sessionRef, backend, generation }: Pick<TeardownJob, 'sessionRef' | 'backend' | 'generation'>,
  backendSessionId: string,
): string {
  return `t-${createHash('sha256')
    .update(JSON.stringify([sessionRef, backend, backendSessionId, generation]))
    .digest('hex')}`;
}

/** What sessions/ needs of the queue. */
export interface TeardownQueue {
  /**
   * Adds one job per backend session, in one round trip. Rejects when Redis does not answer: the sweep over `ending` repeats it.
   * @param delayMs not before that, unless `hasten` says so: calls may still run in it. Default 0
   */
  add(jobs: readonly TeardownJob[], delayMs?: number): Promise<void>;
  /** What waits for its delay begins now. Never rejects: else it begins when the delay is over. */
  hasten(jobs: readonly TeardownJob[]): Promise<void>;
}
