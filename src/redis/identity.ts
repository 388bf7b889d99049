// Which data a connection speaks to. A server that was restarted or promoted may have lost its last writes; the same one, reached again
// after the network failed, has not.
import { Cluster } from 'ioredis';
import type { RedisConnection } from './connect.js';

export interface ServerIdentity {
  /** Changes with a restart, a fail-over and a re-synchronisation. Undefined where it cannot be told: on a Cluster, or INFO is forbidden. */
  readonly id: string | undefined;
  /** Since the server's start, ms, exact to a second. */
  readonly uptimeMs: number | undefined;
}

const UNKNOWN: ServerIdentity = { id: undefined, uptimeMs: undefined };

/** @throws what ioredis throws when the connection fails; a refusal of INFO is not a failure */
export async function identifyServer(redis: RedisConnection): Promise<ServerIdentity> {
  if (redis instanceof Cluster) return UNKNOWN;
  try {
    const [server, replication] = await Promise.all([redis.info('server'), redis.info('replication')]);
    const runId = /^run_id:(\w+)/m.exec(server)?.[1];
    const dataId = /^master_replid:(\w+)/m.exec(replication)?.[1];
    const uptime = /^uptime_in_seconds:(\d+)/m.exec(server)?.[1];
    return {
      id: runId && dataId ? `${runId} ${dataId}` : undefined,
      uptimeMs: uptime === undefined ? undefined : Number(uptime) * 1000,
    };
  } catch (error) {
    if (error instanceof Error && /^(NOPERM|ERR)/.test(error.message)) return UNKNOWN;
    throw error;
  }
}
