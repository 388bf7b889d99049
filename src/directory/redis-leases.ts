// The proof of life of workers. Only the lease key counts; the sorted set `workers` is a list of where to look.
import type { Clock } from '../lifecycle/clock.js';
import type { WorkerId } from '../protocol/ids.js';
import type { DirectoryConnection } from './connection.js';
import type { Lease } from './directory.js';

/** A member of `workers` without a lease is forgotten this long after its lease should have ended: clocks of hosts differ. In ms. */
const FORGET_MS = 60_000;

export class RedisLeases {
  constructor(
    private readonly connection: DirectoryConnection,
    private readonly clock: Clock,
  ) {}

  /** The list first: a member without a lease is harmless, a lease that nobody lists is not found by the sweep. */
  async open(lease: Lease, leaseMs: number): Promise<boolean> {
    const { keys } = this.connection;
    await this.connection.attempt((redis) => redis.zadd(keys.workers, this.clock.wallMs() + leaseMs, lease.id));
    const opened = await this.connection.attemptNow((redis) =>
      redis.set(keys.lease(lease.id), JSON.stringify(lease), 'PX', leaseMs, 'NX'),
    );
    if (opened !== 'OK') return false;
    await this.connection.confirm();
    return true;
  }

  /** Rule 2: XX, so that a lease that is gone never comes back. */
  async renew(lease: Lease, leaseMs: number): Promise<boolean> {
    const { keys } = this.connection;
    const until = this.clock.wallMs() + leaseMs;
    const renewed = await this.connection.attemptNow((redis) =>
      redis.set(keys.lease(lease.id), JSON.stringify(lease), 'PX', leaseMs, 'XX'),
    );
    if (renewed !== 'OK') return false;
    // Not awaited: on a Cluster the list may be on a server that is away, and the lease must not depend on two servers.
    this.connection.quietly((redis) => redis.zadd(keys.workers, until, lease.id));
    await this.connection.confirm();
    return true;
  }

  async read(id: WorkerId): Promise<Lease | undefined> {
    return this.connection.attempt(async (redis) => decode(await redis.get(this.connection.keys.lease(id))));
  }

  /** The lease first: it is what others act on. */
  async remove(id: WorkerId): Promise<void> {
    const { keys } = this.connection;
    await this.connection.attempt((redis) => redis.del(keys.lease(id)));
    await this.connection.attempt((redis) => redis.zrem(keys.workers, id));
  }

  async list(): Promise<Lease[]> {
    const { keys } = this.connection;
    const members = await this.connection.attempt((redis) => redis.zrange(keys.workers, '0', '-1', 'WITHSCORES'));
    const ids = members.filter((_, i) => i % 2 === 0) as WorkerId[];
    const leases = await this.connection.attempt((redis) =>
      Promise.all(ids.map(async (id) => decode(await redis.get(keys.lease(id))))),
    );
    const forgotten = ids.filter(
      (_, i) => leases[i] === undefined && Number(members[2 * i + 1]) < this.clock.wallMs() - FORGET_MS,
    );
    if (forgotten.length > 0) this.connection.quietly((redis) => redis.zrem(keys.workers, ...forgotten));
    return leases.filter((lease) => lease !== undefined);
  }
}

function decode(text: string | null): Lease | undefined {
  return text === null ? undefined : (JSON.parse(text) as Lease);
}
