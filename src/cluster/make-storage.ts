// The worker's connections to Redis, and the directory on them.
import { RedisDirectory } from '../directory/redis-directory.js';
import { openOwnershipConnection, openSubscriberConnection, waitTimeoutMs } from '../redis/connect.js';
import type { WorkerBase } from './worker-base.js';

export type Storage = ReturnType<typeof makeStorage>;

/** @param on what follows from the loss and the return of the ownership connection */
export function makeStorage({ start, config, clock, log, metrics, onCommand }: WorkerBase, on: { lost(): void; back(): void }) {
  const leaseMs = config.internal.lease;
  const redis = openOwnershipConnection(start.redisUrl, {
    leaseMs,
    onCommand,
    onUp: () => {
      metrics.redisUp.set(1);
      on.back();
    },
    onDown: () => {
      metrics.redisUp.set(0);
      on.lost();
    },
    onError: (error) => log.debug({ error: error.message }, 'redis connection'),
  });
  const subscriber = openSubscriberConnection(start.redisUrl, { onCommand });
  const directory = new RedisDirectory({
    connection: redis,
    prefix: config.redis.prefix,
    idleTimeoutMs: config.sessions.idleTimeout,
    clock,
    waitReplicas: { count: config.redis.waitReplicas, timeoutMs: waitTimeoutMs(leaseMs) },
  });
  return {
    redis,
    subscriber,
    directory,
    disconnect() {
      redis.disconnect();
      subscriber.disconnect();
    },
  };
}
