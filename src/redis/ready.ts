// Start and end of a connection: waits until Redis answers, and closes without leaving a handle.
import { Redis } from 'ioredis';
import { EXIT, StartError } from '../errors/start-error.js';
import { type Clock, systemClock } from '../lifecycle/clock.js';
import { describeAddress, parseRedisUrl } from './address.js';
import { openOwnershipConnection, type RedisConnection } from './connect.js';
import { watchConnection } from './watch.js';

/** Why the certificate of a server is not believed: no waiting cures that either. */
const DISTRUSTED = /^(SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_|CERT_|ERR_TLS_CERT_)/;

/** Replies that no waiting cures. */
const REFUSED = /^(WRONGPASS|NOAUTH|NOPERM|ERR invalid password|ERR DB index)/;

/**
 * Waits until Redis answers (on a Cluster: every master is connected).
 * @param startTimeoutMs `redis.startTimeout`
 * @throws StartError 69 if it does not in time; 78 if the address is unreadable, the credentials are refused or the certificate is not trusted
 */
export async function waitForRedis(url: string, startTimeoutMs: number, clock: Clock = systemClock): Promise<void> {
  const where = describeAddress(parseRedisUrl(url));
  let last: Error | undefined;
  let refuse: (error: StartError) => void = () => undefined;
  const refused = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  const connection = openOwnershipConnection(url, {
    leaseMs: 8000,
    onError: (error) => {
      last = error;
      if (REFUSED.test(error.message)) refuse(refusedBy(where, error));
      else if (DISTRUSTED.test((error as NodeJS.ErrnoException).code ?? '')) refuse(distrusted(where, error));
    },
  });
  try {
    await Promise.race([whenUp(connection, startTimeoutMs, clock), refused]);
    await connection.ping();
  } catch (error) {
    if (error instanceof StartError) throw error;
    const reason = last ? ` (${last.message || last.name})` : '';
    throw new StartError(
      EXIT.unavailable,
      `Redis at ${where} did not answer within ${startTimeoutMs} ms${reason}.\n` +
        'Start it or correct redis.url (BERTH_REDIS_URL); redis.startTimeout says how long to wait.',
    );
  } finally {
    await closeConnection(connection);
  }
}

function refusedBy(where: string, error: Error): StartError {
  return new StartError(
    EXIT.config,
    `Redis at ${where} refuses us: ${error.message}.\nCorrect user, password or database in redis.url (BERTH_REDIS_URL).`,
  );
}

function distrusted(where: string, error: Error): StartError {
  return new StartError(
    EXIT.config,
    `The certificate of Redis at ${where} is not trusted: ${error.message}.\n` +
      'Set NODE_EXTRA_CA_CERTS to a file (PEM) with the certificate of the authority that signed it, and use a host name that it holds.',
  );
}

/**
 * Resolves once the connection is usable (on a Cluster: every master).
 * @throws Error after `timeoutMs`
 */
export function whenUp(connection: RedisConnection, timeoutMs: number, clock: Clock = systemClock): Promise<void> {
  return new Promise((resolve, reject) => {
    if (isUp(connection)) return resolve();
    const timer = clock.after(timeoutMs, () => reject(new Error(`not connected within ${timeoutMs} ms`)));
    watchConnection(connection, {
      onUp: () => {
        timer.cancel();
        resolve();
      },
    });
  });
}

function isUp(connection: RedisConnection): boolean {
  if (connection.status !== 'ready') return false;
  return connection instanceof Redis || connection.nodes('master').every((server) => server.status === 'ready');
}

/** Closes at once; commands on their way are rejected. Resolves when the sockets are closed. */
export function closeConnection(connection: RedisConnection): Promise<void> {
  return new Promise((resolve) => {
    const { status } = connection;
    // Between two attempts there is no socket, and ioredis then never says `end`.
    const isOpen = ['connecting', 'connect', 'ready', 'disconnecting', 'close'].includes(status);
    if (isOpen) connection.once('end', () => resolve());
    if (status !== 'end') connection.disconnect();
    if (!isOpen) resolve();
  });
}
