// Several pods in one test: each on an address of its own in the loopback range, one shared Redis, one balancer in front.
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Lease } from '../../src/directory/directory.js';
import { makeKeys } from '../../src/directory/keys.js';
import { referenceOf, type SessionId, type WorkerId } from '../../src/protocol/ids.js';
import { type Balancer, type BalancerOptions, startBalancer } from './balancer.js';
import { type Pod, type PodConfig, startPod } from './pod.js';
import { holderOfUnixSocket } from './processes.js';
import { type RedisServer, startRedis } from './redis-server.js';
import { waitFor } from './wait-for.js';

export interface ClusterOptions {
  readonly pods?: number;
  /** Workers in each pod. */
  readonly workers?: number;
  /** `mcpServers`, `servers`, limits …, the same for every pod. */
  readonly config: PodConfig;
  readonly order?: BalancerOptions['order'];
}

export interface Ownership {
  readonly worker: WorkerId;
  readonly epoch: number;
  readonly pid: number;
  readonly pod: Pod;
}

export interface Cluster {
  readonly pods: readonly Pod[];
  readonly balancer: Balancer;
  readonly redis: RedisServer;
  readonly prefix: string;
  /** At the balancer. */
  url(path: string): string;
  workers(): Array<{ readonly pid: number; readonly pod: Pod }>;
  /** Who owns a session, as the directory says, with the process that listens where the lease says. */
  ownerOf(sessionId: string): Promise<Ownership>;
  /** Names of all keys under the prefix. */
  keys(): Promise<string[]>;
  dispose(): Promise<void>;
}

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const redis = await startRedis({ host: '127.0.0.1' });
  const client = new Redis(redis.url, { lazyConnect: true });
  const prefix = `test-${randomBytes(6).toString('hex')}:`;
  const keys = makeKeys(prefix);
  const secret = randomBytes(32).toString('hex');
  const pods: Pod[] = [];
  let balancer: Balancer | undefined;

  const dispose = async () => {
    await balancer?.close();
    const results = await Promise.allSettled(pods.map((pod) => pod.dispose()));
    client.disconnect();
    await redis.stop();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  };

  try {
    const starts = Array.from({ length: options.pods ?? 2 }, (_, index) => {
      const host = `127.0.0.${index + 2}`;
      const config = {
        ...options.config,
        workers: options.workers ?? 2,
        redis: { url: redis.url, prefix },
        internal: { host, secret, ...(options.config.internal as object | undefined) },
      };
      return startPod({ config, host }).then((pod) => pods.push(pod));
    });
    // All have settled before anything is disposed of: a pod that becomes ready later would be left behind.
    const failed = (await Promise.allSettled(starts)).find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    pods.sort((a, b) => a.host.localeCompare(b.host));
    balancer = await startBalancer(pods, options.order === undefined ? {} : { order: options.order });
  } catch (error) {
    await dispose().catch(() => undefined);
    throw error;
  }
  const front = balancer;

  return {
    pods,
    balancer: front,
    redis,
    prefix,
    url: (path) => front.url(path),
    workers: () => pods.flatMap((pod) => pod.workers().map((pid) => ({ pid, pod }))),
    ownerOf: (sessionId) =>
      waitFor(`an owner of session ${referenceOf(sessionId as SessionId)}`, async () => {
        const [owner, epoch] = await client.hmget(keys.session(referenceOf(sessionId as SessionId)), 'owner', 'epoch');
        if (!owner) return undefined;
        const lease = await client.get(keys.lease(owner as WorkerId));
        if (lease === null) throw new Error(`owner ${owner} (epoch ${epoch}) has no lease`);
        const { unixSocket } = JSON.parse(lease) as Lease;
        for (const pod of pods) {
          const pid = holderOfUnixSocket(unixSocket, pod.workers());
          if (pid !== undefined) return { worker: owner as WorkerId, epoch: Number(epoch), pid, pod };
        }
        throw new Error(`nobody listens on ${unixSocket} of owner ${owner}`);
      }),
    keys: () => client.keys(`${prefix}*`),
    dispose,
  };
}
