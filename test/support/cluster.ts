// Several pods in one test: each on an address of its own in the loopback range, one shared Redis, one balancer in front.
import { randomBytes } from 'node:crypto';
import { Redis, type Cluster as RedisClusterClient } from 'ioredis';
import type { Lease } from '../../src/directory/directory.js';
import { makeKeys } from '../../src/directory/keys.js';
import { referenceOf, type SessionId, type WorkerId } from '../../src/protocol/ids.js';
import { type Balancer, type BalancerOptions, startBalancer } from './balancer.js';
import { type Pod, type PodConfig, startPod } from './pod.js';
import { holderOfUnixSocket, isReaped } from './processes.js';
import { type RedisServer, startRedis } from './redis-server.js';
import { waitFor } from './wait-for.js';

export interface ClusterOptions {
  readonly pods?: number;
  /** Workers in each pod. */
  readonly workers?: number;
  /** `mcpServers`, `servers`, limits …, the same for every pod. */
  readonly config: PodConfig;
  readonly order?: BalancerOptions['order'];
  /** Default: a Redis of its own, without persistence. One that is given stays the caller's. */
  readonly redis?: SharedRedis;
  /** Of every pod. */
  readonly env?: Record<string, string>;
}

/** A Redis, or what stands for one, that the test has started. */
export interface SharedRedis {
  /** `redis.url`, for the pod of this index. */
  urlFor(pod: number): string;
  /** The test's own way to the same data. */
  connect(): Redis | RedisClusterClient;
}

/** A server for which nobody stands in. */
export function shared(server: RedisServer): SharedRedis {
  return { urlFor: () => server.url, connect: () => new Redis(server.url) };
}

export interface Ownership {
  readonly worker: WorkerId;
  readonly epoch: number;
  readonly pid: number;
  readonly pod: Pod;
}

export interface Worker {
  readonly pid: number;
  readonly pod: Pod;
}

export interface Cluster {
  readonly pods: readonly Pod[];
  readonly balancer: Balancer;
  /** The one that was started for this cluster. @throws Error if the test brought its own */
  readonly redis: RedisServer;
  /** The test's own connection to the data. */
  readonly client: Redis | RedisClusterClient;
  readonly prefix: string;
  /** At the balancer. */
  url(path: string): string;
  workers(): Worker[];
  /** Who owns a session, as the directory says, with the process that listens where the lease says. */
  ownerOf(sessionId: string): Promise<Ownership>;
  /** Names of all keys under the prefix. */
  keys(): Promise<string[]>;
  dispose(): Promise<void>;
}

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const ownRedis = options.redis === undefined ? await startRedis({ host: '127.0.0.1' }) : undefined;
  const redis = options.redis ?? shared(ownRedis as RedisServer);
  const client = redis.connect();
  // Tests kill what it is connected to; unheard, ioredis prints that.
  client.on('error', () => undefined);
  const prefix = `test-${randomBytes(6).toString('hex')}:`;
  const secret = randomBytes(32).toString('hex');
  const pods: Pod[] = [];
  let balancer: Balancer | undefined;

  const dispose = async () => {
    await balancer?.close();
    const results = await Promise.allSettled(pods.map((pod) => pod.dispose()));
    client.disconnect();
    await ownRedis?.stop();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  };

  try {
    const starts = Array.from({ length: options.pods ?? 2 }, (_, index) => {
      const host = `127.0.0.${index + 2}`;
      const config = {
        ...options.config,
        workers: options.workers ?? 2,
        redis: { url: redis.urlFor(index), prefix, ...(options.config.redis as object | undefined) },
        internal: { host, secret, ...(options.config.internal as object | undefined) },
      };
      return startPod({ config, host, ...(options.env && { env: options.env }) }).then((pod) => pods.push(pod));
    });
    // All have settled before anything is disposed of: a pod that becomes ready later would be left behind.
    const failed = (await Promise.allSettled(starts)).find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    pods.sort((a, b) => a.host.localeCompare(b.host));
    // A pod is ready with its first worker: a test that kills that one would meet a pod without a listener.
    await whenAllServe({ pods });
    balancer = await startBalancer(pods, options.order === undefined ? {} : { order: options.order });
  } catch (error) {
    await dispose().catch(() => undefined);
    throw error;
  }
  const front = balancer;

  return {
    pods,
    balancer: front,
    get redis() {
      if (ownRedis === undefined) throw new Error('the test brought its own Redis');
      return ownRedis;
    },
    client,
    prefix,
    url: (path) => front.url(path),
    workers: () => pods.flatMap((pod) => pod.workers().map((pid) => ({ pid, pod }))),
    ownerOf: (sessionId) => ownerAmong(pods, client, prefix, sessionId),
    keys: async () => {
      const servers = client instanceof Redis ? [client] : client.nodes('master');
      return (await Promise.all(servers.map((server) => server.keys(`${prefix}*`)))).flat();
    },
    dispose,
  };
}

/** @param client to the data of these pods */
export function ownerAmong(
  pods: readonly Pod[],
  client: Redis | RedisClusterClient,
  prefix: string,
  sessionId: string,
): Promise<Ownership> {
  const keys = makeKeys(prefix);
  const reference = referenceOf(sessionId as SessionId);
  return waitFor(`an owner of session ${reference}`, async () => {
    const [owner, epoch] = await client.hmget(keys.session(reference), 'owner', 'epoch');
    if (!owner) return undefined;
    const lease = await client.get(keys.lease(owner as WorkerId));
    if (lease === null) throw new Error(`owner ${owner} (epoch ${epoch}) has no lease`);
    const { unixSocket } = JSON.parse(lease) as Lease;
    for (const pod of pods) {
      const pid = holderOfUnixSocket(unixSocket, pod.workers());
      if (pid !== undefined) return { worker: owner as WorkerId, epoch: Number(epoch), pid, pod };
    }
    throw new Error(`nobody listens on ${unixSocket} of owner ${owner}`);
  });
}

/**
 * For tests that kill workers one after the other: two dead at once would leave a pod without a listener.
 * @param gone a worker that was killed: for some milliseconds its pod does not know, and takes it for one that serves
 */
export function whenAllServe({ pods }: { readonly pods: readonly Pod[] }, gone?: number): Promise<boolean> {
  const serves = async (pod: Pod) => {
    const { workers } = (await (await fetch(pod.adminUrl('/readyz'))).json()) as {
      workers: { configured: number; ready: number };
    };
    return workers.ready === workers.configured;
  };
  return waitFor(
    'every worker to serve',
    async () => (gone === undefined || isReaped(gone)) && (await Promise.all(pods.map(serves))).every(Boolean),
    50_000,
  );
}
