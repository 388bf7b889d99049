// The primary's own connection to the directory, and the word of its Redis that it is fit for sessions.
import type { Config } from '../config/schema.js';
import { RedisDirectory } from '../directory/redis-directory.js';
import type { Logger } from '../observability/log.js';
import { openOwnershipConnection } from '../redis/connect.js';
import { closeConnection, whenUp } from '../redis/ready.js';
import { checkServers } from '../redis/server-checks.js';
import { checkVersion } from '../redis/version.js';
import type { Stages } from './stages.js';

export interface PrimaryDirectoryParts {
  readonly config: Config;
  /** Of the embedded Redis, where the configuration names none. */
  readonly url: string;
  /** Where the connection is ended. */
  readonly stages: Stages;
  readonly log: Logger;
  /** A connection that is lost then is nothing to warn of. */
  readonly isStopping: () => boolean;
}

/** @throws StartError if Redis does not answer within `redis.startTimeout` or is not fit; what interrupts the start */
export async function openPrimaryDirectory(parts: PrimaryDirectoryParts): Promise<RedisDirectory> {
  const { url, stages, log, isStopping } = parts;
  const { redis, internal, sessions } = parts.config;
  const connection = openOwnershipConnection(url, {
    leaseMs: internal.lease,
    name: 'berth-primary',
    onUp: () => log.debug('redis is up'),
    onDown: () => {
      if (!isStopping()) log.warn('redis is away');
    },
    onError: (error) => log.debug({ error: error.message }, 'redis connection'),
  });
  stages.add('directory', () => closeConnection(connection));
  await stages.unlessInterrupted(whenUp(connection, redis.startTimeout));
  // An embedded Redis is started as it has to be.
  if (redis.url === '') await stages.unlessInterrupted(checkVersion(connection));
  else {
    const warnings = await stages.unlessInterrupted(checkServers(connection, url, redis.waitReplicas));
    for (const warning of warnings) log.warn(warning);
  }
  return new RedisDirectory({ connection, prefix: redis.prefix, idleTimeoutMs: sessions.idleTimeout });
}
