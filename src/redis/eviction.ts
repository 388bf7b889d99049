// A Redis that evicts keys would end sessions and leases at random: refused at start.
import { EXIT, StartError } from '../errors/start-error.js';
import { type RedisConnection, serversOf } from './connect.js';
import { plainError } from './watch.js';

const REMEDY = 'redis-cli CONFIG SET maxmemory-policy noeviction (and the same in its configuration file)';

/**
 * Makes sure that `maxmemory-policy` is `noeviction` (Cluster: on every master).
 * @returns a warning for the log where CONFIG is forbidden (managed Redis), else undefined
 * @throws StartError 78 naming the policy and the command that corrects it
 */
export async function checkEviction(connection: RedisConnection): Promise<string | undefined> {
  for (const server of serversOf(connection)) {
    let policy: unknown;
    try {
      [, policy] = (await server.config('GET', 'maxmemory-policy')) as unknown[];
    } catch (error) {
      const { message } = plainError(error);
      // Only a refusal by Redis itself says that CONFIG is forbidden; anything else is a failure.
      if (!/^(NOPERM|ERR)\b/.test(message)) throw plainError(error);
      return `cannot read maxmemory-policy (${message}): make sure that it is noeviction, else sessions get lost`;
    }
    if (policy === 'noeviction') continue;
    throw new StartError(
      EXIT.config,
      `Redis may evict keys (maxmemory-policy is ${String(policy)}): sessions and leases would vanish.\nCorrect it: ${REMEDY}`,
    );
  }
  return undefined;
}
