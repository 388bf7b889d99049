// What the suites of the directory contract share: a directory on a real Redis, a prefix of its own, and short ways to make values.
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { BackendSessionRecord, Lease, NewSessionRecord } from '../../../src/directory/directory.js';
import { RedisDirectory } from '../../../src/directory/redis-directory.js';
import { type Clock, systemClock } from '../../../src/lifecycle/clock.js';
import {
  type Epoch,
  mintNonce,
  mintSessionId,
  mintWorkerId,
  type OwnerToken,
  referenceOf,
  type SessionRef,
  type WorkerId,
} from '../../../src/protocol/ids.js';
import { openOwnershipConnection, type RedisConnection } from '../../../src/redis/connect.js';
import { closeConnection, whenUp } from '../../../src/redis/ready.js';

export const LEASE_MS = 6000;
export const IDLE_MS = 7_200_000;
export const TTL_MS = IDLE_MS + 86_400_000;

/** A clock whose wall time a test moves forward. */
export function shiftedClock(): Clock & { shiftMs: number } {
  return {
    ...systemClock,
    shiftMs: 0,
    wallMs() {
      return Date.now() + this.shiftMs;
    },
  };
}

export class Harness {
  readonly clock = shiftedClock();
  readonly directory: RedisDirectory;

  private constructor(
    readonly connection: RedisConnection,
    readonly prefix: string,
  ) {
    this.directory = this.anotherWorker();
  }

  static async open(url: string): Promise<Harness> {
    const connection = openOwnershipConnection(url, { leaseMs: LEASE_MS });
    await whenUp(connection, 10_000);
    return new Harness(connection, `t-${randomUUID().slice(0, 8)}:`);
  }

  close(): Promise<void> {
    return closeConnection(this.connection);
  }

  /** A second directory over the same data, with a memory (generation) of its own. */
  anotherWorker(connection: RedisConnection = this.connection): RedisDirectory {
    return new RedisDirectory({
      connection,
      prefix: this.prefix,
      idleTimeoutMs: IDLE_MS,
      clock: this.clock,
    });
  }

  servers(): Redis[] {
    return this.connection instanceof Redis ? [this.connection] : this.connection.nodes('master');
  }

  async keys(): Promise<string[]> {
    return (await Promise.all(this.servers().map((server) => server.keys(`${this.prefix}*`)))).flat().sort();
  }

  async flushAll(): Promise<void> {
    await Promise.all(this.servers().map((server) => server.flushall()));
  }

  /** A session of a fresh worker in epoch 1. */
  async openSession(changes: Partial<NewSessionRecord> = {}) {
    const ref = newRef();
    const record = newRecord(changes);
    const nonce = mintNonce();
    expect(await this.directory.createSession(ref, record, nonce)).toBe('created');
    return { ref, record, nonce, owner: record.owner, token: tokenOf(record.owner, record.epoch) };
  }
}

export const newRef = (): SessionRef => referenceOf(mintSessionId());
export const newWorker = (): WorkerId => mintWorkerId('test');
export const epochOf = (value: number) => value as Epoch;
export const tokenOf = (owner: WorkerId | '', epoch: number): OwnerToken => ({ owner, epoch: epochOf(epoch) });

export function newRecord(changes: Partial<NewSessionRecord> = {}): NewSessionRecord {
  return {
    owner: newWorker(),
    epoch: epochOf(1),
    serverId: 'support',
    principal: 'principal-digest',
    protocolVersion: '2025-11-25',
    client: { clientInfo: { name: 'tést "client"', version: '1' }, capabilities: { sampling: {} } },
    createdMs: 1_700_000_000_000,
    backends: {},
    ...changes,
  };
}

export function backendSession(generation: number, sealed = `sealed-${generation}`): BackendSessionRecord {
  return { generation, sealed, protocolVersion: '2025-06-18', capabilities: { tools: {} }, transport: 'http' };
}

export function newLease(changes: Partial<Lease> = {}): Lease {
  return {
    id: newWorker(),
    index: 1,
    pid: 1,
    pod: 'pod',
    host: 'host',
    unixSocket: '/tmp/worker.sock',
    draining: false,
    startedMs: 1_700_000_000_000,
    ...changes,
  };
}
