// Pods that come and go behind a balancer that learns of it as Kubernetes does: from readiness, some hundred milliseconds late.
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { type Balancer, startBalancer } from './balancer.js';
import { type Ownership, ownerAmong } from './cluster.js';
import { type ConnectionBalancer, startConnectionBalancer } from './connection-balancer.js';
import { type Pod, type PodConfig, startPod } from './pod.js';
import { type RedisServer, startRedis } from './redis-server.js';
import { waitFor } from './wait-for.js';

const PROBE_MS = 100;
/** Looks that have to fail before a pod gets no more requests. */
const FAILURES = 4;

/** The longest drain that a test asks for, and a busy machine. */
const LEAVE_WITHIN_MS = 90_000;

export interface FleetOptions {
  readonly config: PodConfig;
  readonly workers: number;
  readonly redis?: RedisServer;
}

export class Fleet {
  readonly #options: FleetOptions;
  readonly #secret = randomBytes(32).toString('hex');
  readonly #prefix = `test-${randomBytes(6).toString('hex')}:`;
  readonly #client: Redis;
  readonly #failures = new Map<Pod, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #all = new Set<Pod>();
  #looking = false;
  #nextHost = 2;

  private constructor(
    options: FleetOptions,
    readonly redis: RedisServer,
    readonly fresh: Balancer,
    readonly kept: Balancer,
    readonly perConnection: ConnectionBalancer,
  ) {
    this.#options = options;
    this.#client = new Redis(redis.url);
    this.#timer = setInterval(() => void this.#look(), PROBE_MS);
  }

  /** @throws Error of the first pod that does not start; nothing is left then */
  static async start(options: FleetOptions, pods: number): Promise<Fleet> {
    const redis = await startRedis({ host: '127.0.0.1' });
    const [fresh, kept, perConnection] = [
      startBalancer([]),
      startBalancer([], { connections: 'kept' }),
      startConnectionBalancer([]),
    ];
    const fleet = new Fleet(options, redis, await fresh, await kept, await perConnection);
    // Each has to have started or failed before anything ends: one that is still starting would be left over.
    const added = await Promise.allSettled(Array.from({ length: pods }, () => fleet.add()));
    const failed = added.find((result) => result.status === 'rejected');
    if (failed === undefined) return fleet;
    await fleet.dispose().catch(() => undefined);
    throw failed.reason;
  }

  /** Ready pods, and those that the balancer does not yet know to be leaving. */
  get pods(): Pod[] {
    return [...this.#failures.keys()];
  }

  ownerOf(sessionId: string): Promise<Ownership> {
    return ownerAmong([...this.#all], this.#client, this.#prefix, sessionId);
  }

  /** @param host of a pod that has gone, to take its address; default a new one */
  async add(host = `127.0.0.${this.#nextHost++}`): Promise<Pod> {
    const { config, workers } = this.#options;
    const internal = { host, secret: this.#secret, ...(config.internal as object | undefined) };
    const redis = { url: this.redis.url, prefix: this.#prefix };
    const pod = await startPod({ config: { ...config, workers, redis, internal }, host });
    this.#all.add(pod);
    this.#failures.set(pod, 0);
    this.#publish();
    return pod;
  }

  /** SIGTERM; resolves when it has ended, which is later than that the balancer left it alone. */
  async remove(pod: Pod): Promise<void> {
    const { code } = await pod.stop('SIGTERM', LEAVE_WITHIN_MS);
    if (code !== 0) throw new Error(`pod ${pod.host} ended with ${code}`);
    await waitFor(`the balancer to forget ${pod.host}`, () => !this.#failures.has(pod));
    await pod.dispose();
    this.#all.delete(pod);
  }

  async dispose(): Promise<void> {
    clearInterval(this.#timer);
    const results = await Promise.allSettled([...this.#all].map((pod) => pod.dispose()));
    this.#client.disconnect();
    const rest = [this.fresh.close(), this.kept.close(), this.perConnection.close(), this.redis.stop()];
    results.push(...(await Promise.allSettled(rest)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    await Promise.all(
      [...this.#failures.keys()].map(async (pod) => {
        const ready = await fetch(pod.adminUrl('/readyz')).then(
          ({ status }) => status === 200,
          () => false,
        );
        const failures = ready ? 0 : (this.#failures.get(pod) ?? 0) + 1;
        if (failures < FAILURES) this.#failures.set(pod, failures);
        else this.#failures.delete(pod);
      }),
    );
    this.#publish();
    this.#looking = false;
  }

  #publish(): void {
    for (const balancer of [this.fresh, this.kept, this.perConnection]) balancer.setPlaces(this.pods);
  }
}
