// What a failover may lose, as far as it can be seen at the start: warned about, not refused, because replicas come and go.
import type { RedisConnection } from './connect.js';
import { serversOf } from './connect.js';
import { plainError } from './watch.js';

/**
 * Compares `redis.waitReplicas` with the replicas that Redis has. Not for Cluster, whose masters stop taking writes by themselves
 * when they are alone.
 * @param waitReplicas how many replicas confirm a claim; 0: none
 * @param isFailover whether a replica may be promoted behind our back (Sentinel), even if none is connected now
 * @returns a warning for the log; undefined if all is well, or where the server does not let us look
 */
export async function checkReplication(
  connection: RedisConnection,
  waitReplicas: number,
  isFailover: boolean,
): Promise<string | undefined> {
  const [server] = serversOf(connection);
  if (server === undefined) return undefined;
  try {
    const replicas = Number(/^connected_slaves:(\d+)/m.exec(await server.info('replication'))?.[1] ?? 0);
    if (waitReplicas > replicas) {
      return `redis.waitReplicas is ${waitReplicas}, and Redis has ${replicas} replicas: no session is served until enough of them follow it`;
    }
    if (waitReplicas > 0 || (replicas === 0 && !isFailover)) return undefined;
    const [, least] = (await server.config('GET', 'min-replicas-to-write')) as unknown[];
    if (Number(least) > 0) return undefined;
    return (
      'Redis has replicas, redis.waitReplicas is 0 and min-replicas-to-write is 0: after a failover a session may have two owners for as long as ' +
      'the old master takes writes. Set redis.waitReplicas to 1, or: redis-cli CONFIG SET min-replicas-to-write 1'
    );
  } catch (error) {
    const { message } = plainError(error);
    if (!/^(NOPERM|ERR)\b/.test(message)) throw plainError(error);
    return undefined;
  }
}
