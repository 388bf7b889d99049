// Opens connections to Redis. Three kinds, because they must fail differently: ownership fails fast and re-sends nothing,
// the queue's waits for ever (BullMQ demands it), a subscriber's waits and subscribes again.
import { Cluster, Redis, type ClusterOptions, type RedisOptions } from 'ioredis';
import { parseRedisUrl, type RedisAddress } from './address.js';
import { gatherWrites } from './gather.js';
import { countCommands, watchConnection, type ConnectionHooks } from './watch.js';

/** Either kind of ioredis client: everything above works with both. */
export type RedisConnection = Redis | Cluster;

export interface OpenOptions extends ConnectionHooks {
  /** Shown in `CLIENT LIST`; default none. */
  readonly name?: string;
}

export interface OwnershipOptions extends OpenOptions {
  /** `internal.lease` in ms: the time-outs derive from it. */
  readonly leaseMs: number;
}

export interface QueueOptions extends OpenOptions {
  /**
   * For producers, in ms: a command is rejected after it, also while Redis is away. Default none: BullMQ's workers must wait.
   * What was rejected may still run later; job ids make that harmless.
   */
  readonly commandTimeoutMs?: number;
}

/** Every server that takes writes: one, or the masters of a Cluster. */
export function serversOf(connection: RedisConnection): Redis[] {
  return connection instanceof Redis ? [connection] : connection.nodes('master');
}

/** Below the renewal interval (lease / 3), so that a renewal that got no answer is over before the next is due. */
export function commandTimeoutMs(leaseMs: number): number {
  return Math.max(50, Math.floor(leaseMs / 4));
}

/** For WAIT: the commands behind it on the connection must not run out of their own time. */
export function waitTimeoutMs(leaseMs: number): number {
  return Math.floor(commandTimeoutMs(leaseMs) / 2);
}

/** Back-off between attempts to connect, in ms: doubles up to a second, never ends; jitter keeps workers from coming at once. */
export function reconnectDelayMs(attempt: number): number {
  return Math.min(25 * 2 ** Math.min(attempt, 6), 1000) + Math.floor(Math.random() * 50);
}

/**
 * The connection that claims, renews and writes records. A command is sent at most once: what was on its way when the connection
 * broke is rejected, never sent again (a late second renewal or claim would be an act nobody decided), and nothing waits for Redis
 * to come back.
 *
 * Commands are not auto-pipelined: each keeps an outcome of its own. Those of one turn leave in order, in one write (gather.ts).
 */
export function openOwnershipConnection(url: string, options: OwnershipOptions): RedisConnection {
  const timeoutMs = commandTimeoutMs(options.leaseMs);
  return open(
    parseRedisUrl(url),
    {
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      // 0 and not 1: with autoResend off, ioredis rejects what was on its way only through this limit; otherwise it would stay
      // unsettled until its time-out.
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      // A peer that died without a FIN would take commands for minutes; a silent socket is given up and opened anew. Later than one
      // command's time-out (a Redis that stalls for a moment keeps its clients), early enough to reconnect within a lease.
      socketTimeout: 2 * timeoutMs,
      connectTimeout: timeoutMs,
      maxLoadingRetryTime: 500,
      // Demoted master: 1 = reconnect (Sentinel then names the new one) and do not re-send; the reconnect makes owners verify.
      reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
    },
    { enableOfflineQueue: false, retryDelayOnFailover: 0, retryDelayOnClusterDown: 0, maxRedirections: 4 },
    options,
  );
}

/** For BullMQ: waits for Redis as long as it takes. */
export function openQueueConnection(url: string, options: QueueOptions = {}): RedisConnection {
  const commandTimeout = options.commandTimeoutMs;
  return open(
    parseRedisUrl(url),
    { maxRetriesPerRequest: null, connectTimeout: 5000, ...(commandTimeout ? { commandTimeout } : {}) },
    {},
    options,
  );
}

/** For SUBSCRIBE: subscribes again after a reconnect. What was published meanwhile is lost, so the hook `onUp` must refresh. */
export function openSubscriberConnection(url: string, options: OpenOptions = {}): RedisConnection {
  return open(parseRedisUrl(url), { maxRetriesPerRequest: null, connectTimeout: 5000, autoResubscribe: true }, {}, options);
}

function open(
  address: RedisAddress,
  redisOptions: RedisOptions,
  clusterOptions: ClusterOptions,
  options: OpenOptions,
): RedisConnection {
  const common: RedisOptions = {
    keepAlive: 10_000,
    ...(options.name ? { connectionName: options.name } : {}),
    ...redisOptions,
  };
  const connection =
    address.kind === 'cluster' ? openCluster(address, common, clusterOptions) : new Redis(singleOptions(address, common));
  watchConnection(connection, options);
  if (connection instanceof Redis) gatherWrites(connection);
  if (options.onCommand) countCommands(connection, options.onCommand);
  return connection;
}

function singleOptions(address: Exclude<RedisAddress, { kind: 'cluster' }>, common: RedisOptions): RedisOptions {
  const base: RedisOptions = { ...common, retryStrategy: reconnectDelayMs };
  switch (address.kind) {
    case 'unix':
      return { ...base, path: address.path };
    case 'single':
      return {
        ...base,
        ...credentials(address),
        host: address.host,
        port: address.port,
        db: address.db,
        ...(address.tls ? { tls: {} } : {}),
      };
    case 'sentinel':
      return {
        ...base,
        ...credentials(address),
        sentinels: [...address.sentinels],
        name: address.name,
        db: address.db,
        sentinelRetryStrategy: reconnectDelayMs,
        sentinelCommandTimeout: 2000,
        ...(address.sentinelUsername ? { sentinelUsername: address.sentinelUsername } : {}),
        ...(address.sentinelPassword ? { sentinelPassword: address.sentinelPassword } : {}),
        ...(address.tls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
      };
  }
}

function openCluster(
  address: Extract<RedisAddress, { kind: 'cluster' }>,
  common: RedisOptions,
  clusterOptions: ClusterOptions,
): Cluster {
  const { enableOfflineQueue: _, ...perServer } = common;
  return new Cluster([...address.addresses], {
    clusterRetryStrategy: reconnectDelayMs,
    // A server that was lost leaves ioredis' pool; without this only the next redirection would look for its successor.
    slotsRefreshInterval: 2000,
    ...clusterOptions,
    // Names in certificates: keep host names as they are instead of resolving them first.
    ...(address.tls ? { dnsLookup: (host: string, done: (error: null, ip: string) => void) => done(null, host) } : {}),
    redisOptions: { ...perServer, ...credentials(address), ...(address.tls ? { tls: {} } : {}) },
  });
}

function credentials({ username, password }: { username?: string; password?: string }): RedisOptions {
  return { ...(username ? { username } : {}), ...(password ? { password } : {}) };
}
