// Where the queue lies in Redis, and how long what lies there is kept.

/** BullMQ refuses colons in it. */
export const QUEUE_NAME = 'jobs';

/** BullMQ's prefix is one hash tag: all keys of the queue share a slot, as its scripts demand on Redis Cluster. */
export function queuePrefix(redisPrefix: string): string {
  return `{${redisPrefix}teardown}`;
}

/** Beside the queue's own: how busy one backend is (sorted set of attempts) and how it fares (hash). They share a slot. */
export function paceKeys(redisPrefix: string, backend: string): readonly [running: string, state: string] {
  const tag = `${redisPrefix}teardown:{pace:${backend}}`;
  return [`${tag}:running`, `${tag}:state`];
}

/** The dead letters. What is done leaves nothing behind: a second DELETE is harmless, a job dropped for a finished one is not. */
export const KEEP_FAILED = { age: 7 * 24 * 3600, count: 10_000 } as const;
