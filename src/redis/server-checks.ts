// Everything that a Redis is asked before the gateway relies on it.
import { parseRedisUrl } from './address.js';
import type { RedisConnection } from './connect.js';
import { checkEviction } from './eviction.js';
import { checkReplication } from './replication.js';
import { checkVersion } from './version.js';

/**
 * Asks a Redis that somebody else runs (for the embedded one `checkVersion` is enough).
 * @param url `redis.url`, to which `connection` leads
 * @param waitReplicas `redis.waitReplicas`
 * @returns warnings for the log
 * @throws StartError 78 with the remedy
 */
export async function checkServers(connection: RedisConnection, url: string, waitReplicas: number): Promise<string[]> {
  const { kind } = parseRedisUrl(url);
  const warnings = [
    await checkVersion(connection),
    await checkEviction(connection),
    kind === 'cluster' ? undefined : await checkReplication(connection, waitReplicas, kind === 'sentinel'),
  ];
  return warnings.filter((warning) => warning !== undefined);
}
