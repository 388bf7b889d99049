// The real Redis of a simulation. Scripts and commands run in it as they are; only time is the model's: keys with a time to live are
// deleted when the simulation's clock says so (their real TTL, a minute, never ends within a run).
import type { Redis } from 'ioredis';
import type { SessionRecord } from '../../../src/directory/directory.js';
import { makeKeys } from '../../../src/directory/keys.js';
import { checkGeneration } from '../../../src/directory/scripts/check-generation.js';
import { claimSession } from '../../../src/directory/scripts/claim-session.js';
import { closeSession } from '../../../src/directory/scripts/close-session.js';
import { createSession } from '../../../src/directory/scripts/create-session.js';
import { releaseSession } from '../../../src/directory/scripts/release-session.js';
import { removeSession } from '../../../src/directory/scripts/remove-session.js';
import { reservePlace } from '../../../src/directory/scripts/reserve-place.js';
import { saveBackendSession } from '../../../src/directory/scripts/save-backend-session.js';
import type { OwnerToken, SessionRef, WorkerId } from '../../../src/protocol/ids.js';

const SCRIPTS = [
  ...[checkGeneration, claimSession, closeSession, createSession],
  ...[releaseSession, removeSession, reservePlace, saveBackendSession],
];

export interface RecordSeen extends OwnerToken {
  readonly state: SessionRecord['state'];
}

export interface RedisWorldOptions {
  /** A planted bug: leases end so many times sooner than the worker was told. Default 1. */
  readonly leaseFactor?: number;
  /** A planted bug: a claim compares nothing. */
  readonly blindClaim?: boolean;
  /** Told every step and every command: for whoever reads a counterexample. */
  readonly trace?: (line: string) => void;
}

export class RedisWorld {
  readonly prefix = 'sim:';
  readonly keys = makeKeys(this.prefix);
  /** Model time, ms. */
  nowMs = 0;
  /** Which data this is, as a worker may tell after a reconnect. */
  data = 0;
  /** How often the data was lost or went back. */
  losses = 0;
  #expiry = new Map<string, number>();
  #snapshot: { dumps: Array<[string, Buffer]>; expiry: Map<string, number> } = { dumps: [], expiry: new Map() };

  private constructor(
    readonly redis: Redis,
    readonly options: RedisWorldOptions,
  ) {}

  static async open(redis: Redis, options: RedisWorldOptions = {}): Promise<RedisWorld> {
    await redis.flushall();
    // Known from the start, so that no run differs from its repetition by an EVAL.
    for (const { lua } of SCRIPTS) await redis.script('LOAD', lua);
    return new RedisWorld(redis, options);
  }

  /** What a wire runs. */
  readonly run = async (name: string, args: readonly unknown[]): Promise<unknown> => {
    const command = name.toLowerCase();
    if (command === 'evalsha' && args[0] === checkGeneration.sha) await this.#noteSettling(args);
    if (command === 'evalsha' && args[0] === claimSession.sha && this.options.blindClaim) return this.#claimBlindly(args);
    const reply = await this.redis.call(name, ...(args as string[]));
    this.options.trace?.(
      `${this.nowMs} ${name} ${args.map((one) => String(one).slice(0, 40)).join(' ')} -> ${JSON.stringify(reply)}`,
    );
    if (command === 'set' && args[2] === 'PX' && reply === 'OK') this.#expire(String(args[0]), Number(args[3]));
    return reply;
  };

  async advance(ms: number): Promise<void> {
    this.nowMs += ms;
    for (const [key, atMs] of this.#expiry) {
      if (atMs > this.nowMs) continue;
      this.#expiry.delete(key);
      await this.redis.del(key);
    }
  }

  /** What a failover would come back with. */
  async remember(): Promise<void> {
    const keys = await this.redis.keys(`${this.prefix}*`);
    const dumps = await Promise.all(
      keys.map(async (key): Promise<[string, Buffer]> => [key, (await this.redis.dumpBuffer(key)) as Buffer]),
    );
    this.#snapshot = { dumps, expiry: new Map(this.#expiry) };
  }

  async failOver(): Promise<void> {
    await this.flush();
    this.data++;
    const { dumps, expiry } = this.#snapshot;
    for (const [key, dump] of dumps) await this.redis.restore(key, 0, dump);
    this.#expiry = new Map(expiry);
    await this.advance(0);
  }

  async flush(): Promise<void> {
    this.losses++;
    this.#expiry.clear();
    await this.redis.flushall();
  }

  async record(ref: SessionRef): Promise<RecordSeen | undefined> {
    const [owner, epoch, state] = await this.redis.hmget(this.keys.session(ref), 'owner', 'epoch', 'state');
    if (typeof state !== 'string') return undefined;
    return { owner, epoch: Number(epoch), state } as RecordSeen;
  }

  async hasLease(id: WorkerId): Promise<boolean> {
    return (await this.redis.exists(this.keys.lease(id))) === 1;
  }

  #expire(key: string, ms: number): void {
    this.#expiry.set(key, this.nowMs + ms * (this.options.leaseFactor ?? 1));
  }

  async #noteSettling(args: readonly unknown[]): Promise<void> {
    const [, , generation, settling, remembered, , leaseMs] = args;
    const now = await this.redis.get(String(generation));
    if (now === null || (remembered !== '' && remembered !== now)) this.#expire(String(settling), Number(leaseMs));
  }

  #claimBlindly(args: readonly unknown[]): Promise<unknown> {
    const blind = claimSession.lua.replace(/^if not repeated.*$/m, '');
    return this.redis.eval(blind, 1, ...(args.slice(2) as string[]));
  }
}
