// A worker without public edge and backends: the decision, the hop and the lease over a real Redis and real sockets. What it owns it
// answers with its own name.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { readMessage } from '../../../src/edge/read-message.js';
import type { Lease } from '../../../src/directory/directory.js';
import { RedisDirectory } from '../../../src/directory/redis-directory.js';
import type { InternalListener } from '../../../src/forward/forward.js';
import { listenInternally } from '../../../src/forward/listener.js';
import { Peers } from '../../../src/forward/peers.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { openOwnershipConnection } from '../../../src/redis/connect.js';
import { closeConnection, whenUp } from '../../../src/redis/ready.js';
import { Execution } from '../../../src/routing/execute.js';
import { HoldRoom } from '../../../src/routing/hold-room.js';
import { OwnerCache } from '../../../src/routing/owner-cache.js';
import { makeProbe } from '../../../src/routing/probe.js';
import { LeaseKeeper } from '../../../src/sessions/lease-keeper.js';
import { SessionTable } from '../../../src/sessions/session-table.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { KEYS } from '../forward/hop-fixture.js';

const IDLE_MS = 3_600_000;
export const LEASE_MS = 6000;

export interface RoutingWorkerOptions {
  readonly name: string;
  readonly redisUrl: string;
  readonly prefix: string;
  readonly holdMs: number;
}

export class RoutingWorker {
  /** Requests that came over the hop, with the milliseconds that each had left. */
  readonly hopped: number[] = [];
  /** Hops that this worker made, by outcome. */
  readonly hops: string[] = [];
  readonly held: string[] = [];
  /** Connections that it could not open. */
  dialFailures = 0;

  private constructor(
    readonly keeper: LeaseKeeper,
    readonly directory: RedisDirectory,
    readonly redis: Redis,
    readonly execution: Execution,
    readonly close: () => Promise<void>,
  ) {}

  static async start({ name, redisUrl, prefix, holdMs }: RoutingWorkerOptions): Promise<RoutingWorker> {
    const clock = systemClock;
    const dir = mkdtempSync(join(tmpdir(), 'berth-routing-'));
    const redis = openOwnershipConnection(redisUrl, { leaseMs: LEASE_MS }) as Redis;
    await whenUp(redis, 10_000);
    const directory = new RedisDirectory({ connection: redis, prefix, idleTimeoutMs: IDLE_MS, clock });
    await directory.checkGeneration(LEASE_MS);
    await redis.del(`${prefix}settling`);
    const listener: InternalListener = await listenInternally({
      unixSocket: join(dir, 'w.sock'),
      keyring: KEYS,
      clock,
      readMessage,
      onRefused: () => undefined,
      handler: (exchange) => {
        worker.hopped.push(exchange.deadlineMs - clock.monotonicMs());
        void worker.execution.execute(exchange);
      },
    });
    const keeper = new LeaseKeeper({
      directory,
      clock,
      leaseMs: LEASE_MS,
      name,
      facts: { index: 1, pid: process.pid, pod: 'pod', host: 'host', unixSocket: listener.unixSocket, startedMs: 0 },
      acknowledge: async () => undefined,
      events: { lapsed: () => undefined, recovered: () => undefined, replaced: () => undefined, warn: () => undefined },
    });
    await keeper.start();
    const forwarder = new Peers({
      ownPod: 'pod',
      keyring: KEYS,
      clock,
      onDialFailed: () => {
        worker.dialFailures++;
      },
    });
    const execution = new Execution({
      table: new SessionTable(),
      owners: new OwnerCache(),
      directory,
      keeper,
      clock,
      hold: new HoldRoom(clock, makeProbe({ directory, keeper, leaseMs: LEASE_MS })),
      forwarder,
      holdMs,
      serve: () => Promise.reject(new Error('nobody owns a session here')),
      open: () => Promise.reject(new Error('nothing is opened here')),
      takeOver: async () => undefined,
      end: () => Promise.reject(new Error('nobody is told to end anything')),
      status: () => undefined,
      teller: { closeInPlaceOf: () => Promise.reject(new Error('nothing is deleted here')) },
      metrics: {
        held: (outcome) => void worker.held.push(outcome),
        forwarded: (_ms, outcome) => void worker.hops.push(outcome),
      },
      log: () => undefined,
      audit: () => undefined,
      warn: () => undefined,
    });
    const worker = new RoutingWorker(keeper, directory, redis, execution, async () => {
      await keeper.stop();
      await forwarder.close(0);
      await listener.close(0);
      await closeConnection(redis);
      rmSync(dir, { recursive: true, force: true });
    });
    return worker;
  }

  /** The lease of another worker, put into this one's view of the cluster. */
  async believesIn(lease: Lease): Promise<void> {
    await this.directory.openLease(lease, 60_000);
  }

  run(exchange: Exchange): Promise<void> {
    return this.execution.execute(exchange);
  }
}
