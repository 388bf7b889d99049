// What is left in Redis of sessions: every key that is not the cluster's own.
import { Redis } from 'ioredis';
import type { Cluster } from './cluster.js';

/** Keys that are there whether or not there are sessions, without the prefix. */
const OF_THE_CLUSTER = [
  /^(worker:.*|workers|sweep|sweep:forced|\{data\}:(generation|settling))$/,
  // BullMQ's own; `events` holds the ids (hashes) of the last hundred jobs.
  /^\{teardown\}:jobs:(meta|events|marker|id|stalled-check|pc)$/,
  // How a backend fares: gone ten minutes after the last teardown.
  /^teardown:\{pace:[A-Za-z0-9_-]+\}:(running|state)$/,
];

/** Names of all keys of sessions, their backend sessions and their teardown. */
export async function sessionKeys({ client, prefix }: Pick<Cluster, 'client' | 'prefix'>): Promise<string[]> {
  const servers = client instanceof Redis ? [client] : client.nodes('master');
  const keys = (await Promise.all(servers.map((server) => server.keys('*')))).flat();
  return keys
    .filter((key) => key.includes(prefix))
    .map((key) => key.replace(prefix, ''))
    .filter((key) => !OF_THE_CLUSTER.some((own) => own.test(key)));
}

/** Every key with its content, as one text. */
export async function dumpRedis({ client }: Pick<Cluster, 'client'>): Promise<string> {
  const servers = client instanceof Redis ? [client] : client.nodes('master');
  const texts: unknown[] = [];
  for (const server of servers) {
    for (const key of await server.keys('*')) texts.push(key, await contentOf(server, key));
  }
  return JSON.stringify(texts);
}

/** Everything under a key, whatever its type. */
export async function contentOf(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'string':
      return redis.get(key);
    case 'hash':
      return redis.hgetall(key);
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'zset':
      return redis.zrange(key, '0', '-1');
    case 'set':
      return redis.smembers(key);
    case 'stream':
      return redis.xrange(key, '-', '+');
    default:
      return null;
  }
}
