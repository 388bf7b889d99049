// What the parts of the Redis directory share: connection, keys, and the one rule for failures.
import type { RedisConnection } from '../redis/connect.js';
import { flushWrites } from '../redis/gather.js';
import { runScript, type Script } from '../redis/script.js';
import { plainError } from '../redis/watch.js';
import { DirectoryUnavailable } from './directory.js';
import type { Keys } from './keys.js';

/** `redis.waitReplicas`: claims and leases count only when that many replicas have them. */
export interface WaitReplicas {
  readonly count: number;
  /** How long WAIT may take, in ms; below the connection's command time-out. Other commands of the connection wait behind it. */
  readonly timeoutMs: number;
}

export class DirectoryConnection {
  constructor(
    readonly redis: RedisConnection,
    readonly keys: Keys,
    private readonly waitReplicas: WaitReplicas | undefined,
  ) {}

  /** @throws DirectoryUnavailable for whatever goes wrong: the outcome is unknown, and no caller tells failures of Redis apart */
  async attempt<T>(run: (redis: RedisConnection) => Promise<T>): Promise<T> {
    try {
      return await run(this.redis);
    } catch (error) {
      throw error instanceof DirectoryUnavailable ? error : new DirectoryUnavailable(plainError(error));
    }
  }

  /** The same for what has little time: it does not wait for what else this turn of the event loop says to Redis. */
  async attemptNow<T>(run: (redis: RedisConnection) => Promise<T>): Promise<T> {
    return this.attempt((redis) => {
      const answer = run(redis);
      flushWrites(redis);
      return answer;
    });
  }

  /** Every script replies with an array whose first element says what happened. */
  async script(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<[string, ...unknown[]]> {
    return this.attempt(async (redis) => (await runScript(redis, script, keys, args)) as [string, ...unknown[]]);
  }

  /** For what may get lost (a TTL set anew, an index that heals itself): neither awaited nor reported. */
  quietly(run: (redis: RedisConnection) => Promise<unknown>): void {
    run(this.redis).catch(() => undefined);
  }

  /** Rule 10: confirms the last write of this connection, if that is asked for. */
  async confirm(): Promise<void> {
    const wanted = this.waitReplicas;
    if (!wanted || wanted.count === 0) return;
    await this.attempt(async (redis) => {
      const reached = (await redis.call('WAIT', wanted.count, wanted.timeoutMs)) as number;
      if (reached < wanted.count) throw new Error(`only ${reached} of ${wanted.count} replicas confirmed the write`);
    });
  }
}

/** A reply that no script gives: the data or the script is not ours. */
export function unexpected(script: string, reply: unknown): never {
  throw new DirectoryUnavailable(new Error(`${script} replied ${String(reply)}`));
}
