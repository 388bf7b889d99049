// What the scripts and commands of the directory need; an older server would fail in the middle of a session's life.
import { EXIT, StartError } from '../errors/start-error.js';
import { type RedisConnection, serversOf } from './connect.js';
import { plainError } from './watch.js';

/** ZADD GT. */
const LEAST = [6, 2] as const;

/**
 * Makes sure that Redis is 6.2 or later, or Valkey (Cluster: every master).
 * @returns a warning for the log where INFO is forbidden, else undefined
 * @throws StartError 78 naming the version found and what to do
 */
export async function checkVersion(connection: RedisConnection): Promise<string | undefined> {
  for (const server of serversOf(connection)) {
    let version: string | undefined;
    try {
      version = /^redis_version:(\S+)/m.exec(await server.info('server'))?.[1];
    } catch (error) {
      const { message } = plainError(error);
      if (!/^(NOPERM|ERR)\b/.test(message)) throw plainError(error);
      return `cannot read the version of Redis (${message}): make sure that it is ${LEAST.join('.')} or later`;
    }
    if (version === undefined || isRecent(version)) continue;
    throw new StartError(
      EXIT.config,
      `Redis is version ${version}, and ${LEAST.join('.')} or later is needed.\n` +
        'Upgrade it (or install Valkey), or set redis.url (BERTH_REDIS_URL) to a newer one.',
    );
  }
  return undefined;
}

/** Valkey, too, names the version of Redis that it is compatible with. */
export function isRecent(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > LEAST[0] || (major === LEAST[0] && minor >= LEAST[1]);
}
