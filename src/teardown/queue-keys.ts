// Where the queue lies in Redis, and how long what lies there is kept.

/** BullMQ refuses colons in it. */
export const QUEUE_NAME = 'jobs';

/** BullMQ's prefix is one hash tag: all keys of the queue share a slot, as its scripts demand on Redis Cluster. */
export function queuePrefix(redisPrefix: string): string {
  return `{${redisPrefix}teardown}`;
}

/** Finished jobs stay so long only to let BullMQ drop a second job of the same id (a repeat by the sweep, or by another owner). */
export const KEEP_COMPLETED = { age: 3600, count: 10_000 } as const;
/** The dead letters. */
export const KEEP_FAILED = { age: 7 * 24 * 3600, count: 10_000 } as const;
