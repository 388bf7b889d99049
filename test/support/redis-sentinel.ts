// A master with its replicas, watched by a real Sentinel: what a managed Redis with failover looks like.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort, killAndWait, launch, type RedisServer, startRedis } from './redis-server.js';
import { waitFor } from './wait-for.js';

const HOST = '127.0.0.1';
const GROUP = 'main';

export interface ReplicatedRedis {
  readonly master: RedisServer;
  readonly replicas: readonly RedisServer[];
  stop(): Promise<void>;
}

/** @returns once every replica is in step with the master */
export async function startReplicatedRedis(replicaCount = 1): Promise<ReplicatedRedis> {
  // Without the delay, in which the master waits for more replicas to come.
  const master = await startRedis({ host: HOST, appendonly: true, args: ['--repl-diskless-sync-delay', '0'] });
  const replicas = await Promise.all(Array.from({ length: replicaCount }, () => startReplica(master)));
  const stop = async () => void (await Promise.all([master, ...replicas].map((server) => server.stop())));
  const client = new Redis(master.url);
  try {
    await waitFor(
      'the replicas to be in step',
      async () => ((await client.wait(replicaCount, 100)) as number) >= replicaCount,
      15_000,
    );
  } catch (error) {
    await stop();
    throw error;
  } finally {
    client.disconnect();
  }
  return { master, replicas, stop };
}

function startReplica(master: RedisServer): Promise<RedisServer> {
  const follows = ['--replicaof', HOST, String(master.port), '--repl-diskless-sync-delay', '0'];
  return startRedis({ host: HOST, appendonly: true, args: follows });
}

export interface SentinelRedis extends ReplicatedRedis {
  /** For redis.url. */
  readonly url: string;
  /** Where Sentinel says that the master is. */
  masterPort(): Promise<number>;
}

/** One Sentinel: its own majority, so that it fails over when a master was silent for a second. */
export async function startSentinelRedis(replicaCount = 1): Promise<SentinelRedis> {
  const redis = await startReplicatedRedis(replicaCount);
  const dir = mkdtempSync(join(tmpdir(), 'berth-sentinel-'));
  const port = await freePort(HOST);
  const file = join(dir, 'sentinel.conf');
  writeFileSync(
    file,
    [
      `port ${port}`,
      `bind ${HOST}`,
      `dir ${dir}`,
      `sentinel monitor ${GROUP} ${HOST} ${redis.master.port} 1`,
      `sentinel down-after-milliseconds ${GROUP} 1000`,
      `sentinel failover-timeout ${GROUP} 5000`,
    ].join('\n'),
  );
  const child = await launch([file, '--sentinel'], /\+monitor/);
  const client = new Redis(port, HOST);
  const stop = async () => {
    client.disconnect();
    await killAndWait(child);
    await redis.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    // A Sentinel that does not know them yet would find nobody to promote.
    await waitFor(
      'Sentinel to know the replicas',
      async () => ((await client.call('SENTINEL', 'replicas', GROUP)) as unknown[]).length === replicaCount,
      20_000,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...redis,
    url: `sentinel:${HOST}:${port}/${GROUP}`,
    masterPort: async () => Number(((await client.call('SENTINEL', 'get-master-addr-by-name', GROUP)) as string[])[1]),
    stop,
  };
}
