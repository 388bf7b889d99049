// The queue's producing side, on BullMQ. One queue for all backends.
import { Queue } from 'bullmq';
import type { Clock, Timer } from '../lifecycle/clock.js';
import type { RedisConnection } from '../redis/connect.js';
import type { Keyring } from '../secrets/keyring.js';
import { type TeardownJob, type TeardownQueue, teardownJobId } from './job.js';
import { KEEP_FAILED, QUEUE_NAME, queuePrefix } from './queue-keys.js';
import { openSealed } from './sealed-target.js';

export interface BullTeardownQueueOptions {
  /** Stays the caller's: not closed here. Its offline queue is never used. */
  readonly connection: RedisConnection;
  /** `redis.prefix`. */
  readonly redisPrefix: string;
  readonly keyring: Keyring;
  readonly clock: Clock;
  /** Longest wait of `add`, ms; default 2000. */
  readonly addTimeoutMs?: number;
  /** Attempts of a job in all; default 12, which with the back-off is about half an hour of an unreachable backend. */
  readonly attempts?: number;
  /** First back-off, ms; doubles with each attempt, half of it jitter; default 1000. */
  readonly backoffMs?: number;
  /** Errors of the connection, for a rate-limited log. */
  readonly onError?: (error: Error) => void;
}

/** Redis does not answer: nothing is known of the jobs. Adding them again is harmless. */
export class TeardownQueueUnavailable extends Error {
  constructor(cause?: unknown) {
    super('the teardown queue (Redis) does not answer', { cause });
    this.name = 'TeardownQueueUnavailable';
  }
}

const ADD_TIMEOUT_MS = 2000;
const ATTEMPTS = 12;
const BACKOFF_MS = 1000;
/** BullMQ removes what is too old only when another job finishes; in a quiet cluster nothing would ever go. */
const CLEAN_EVERY_MS = 10 * 60_000;
const CLEAN_LIMIT = 10_000;

export class BullTeardownQueue implements TeardownQueue {
  readonly #options: BullTeardownQueueOptions;
  readonly #queue: Queue<TeardownJob>;
  readonly #cleaning: Timer;
  readonly #untilReady = new Set<() => void>();

  constructor(options: BullTeardownQueueOptions) {
    this.#options = options;
    this.#queue = new Queue<TeardownJob>(QUEUE_NAME, {
      connection: options.connection,
      prefix: queuePrefix(options.redisPrefix),
      // Nobody reads the event stream; at its default length it would be the biggest key of all.
      streams: { events: { maxLen: 100 } },
      defaultJobOptions: {
        attempts: options.attempts ?? ATTEMPTS,
        backoff: { type: 'exponential', delay: options.backoffMs ?? BACKOFF_MS, jitter: 0.5 },
        removeOnComplete: true,
        removeOnFail: KEEP_FAILED,
        // The reason is a word of ours; a stack trace would tell nothing more.
        stackTraceLimit: 0,
      },
    });
    options.connection.on('ready', this.#onReady);
    this.#queue.on('error', (error) => options.onError?.(error));
    this.#cleaning = options.clock.every(CLEAN_EVERY_MS, () => void this.clean().catch((error) => options.onError?.(error)));
  }

  /**
   * One round trip, all or none. Jobs of backend sessions without an id are left out: there is nothing to end.
   * @throws TeardownQueueUnavailable after `addTimeoutMs`
   */
  async add(jobs: readonly TeardownJob[], delayMs = 0): Promise<void> {
    const entries = jobs.flatMap((data) => {
      const jobId = this.#idOf(data);
      const delay = delayMs > 0 ? { delay: delayMs } : {};
      return jobId === undefined ? [] : [{ name: data.backend, data, opts: { jobId, ...delay } }];
    });
    if (entries.length === 0) return;
    await this.#ask(() => this.#queue.addBulk(entries));
  }

  async hasten(jobs: readonly TeardownJob[]): Promise<void> {
    for (const data of jobs) {
      const jobId = this.#idOf(data);
      if (jobId === undefined) continue;
      // Rejects also for one that waits no longer: somebody else was faster.
      await this.#ask(async () => (await this.#queue.getJob(jobId))?.promote()).catch(() => undefined);
    }
  }

  /** Undefined where the backend issued no id. */
  #idOf(data: TeardownJob): string | undefined {
    const target = openSealed(this.#options.keyring, data);
    // Sealed with a key that this worker does not hold: another may. The sealed text names it as well as the id would.
    const id = target === undefined ? data.sealed : target.id;
    return id === '' ? undefined : teardownJobId(data, id);
  }

  /**
   * Jobs by state: waiting, active, delayed, failed (the dead letters); finished ones are not counted.
   * @throws TeardownQueueUnavailable
   */
  async counts(): Promise<Record<'waiting' | 'active' | 'delayed' | 'failed', number>> {
    const counts = await this.#ask(() => this.#queue.getJobCounts('waiting', 'active', 'delayed', 'failed'));
    const { waiting = 0, active = 0, delayed = 0, failed = 0 } = counts;
    return { waiting, active, delayed, failed };
  }

  /**
   * Works on BullMQ's own queue (the admin API), within `addTimeoutMs`.
   * @throws TeardownQueueUnavailable
   */
  ask<T>(work: (queue: Queue<TeardownJob>) => Promise<T>): Promise<T> {
    return this.#ask(() => work(this.#queue));
  }

  /** For the queue board and the admin API. */
  get queue(): Queue<TeardownJob> {
    return this.#queue;
  }

  /** Removes what is kept longer than it should be. Runs by itself every 10 minutes. */
  async clean(): Promise<void> {
    if (!this.#isConnected()) return;
    await this.#queue.clean(KEEP_FAILED.age * 1000, CLEAN_LIMIT, 'failed');
  }

  async close(): Promise<void> {
    this.#cleaning.cancel();
    this.#options.connection.off('ready', this.#onReady);
    await this.#queue.close();
  }

  #isConnected(): boolean {
    // A Cluster says `connect` as well when it is usable.
    const { status } = this.#options.connection;
    return status === 'ready' || (status === 'connect' && 'nodes' in this.#options.connection);
  }

  /**
   * Asks as soon as the connection is usable. Nothing is given to a connection that is not: its offline queue would grow with every
   * attempt of the sweep, and what was given up would run hours later.
   */
  #ask<T>(work: () => Promise<T>): Promise<T> {
    const { clock, addTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const begin = () => {
        work()
          .then(resolve, (cause: unknown) => reject(new TeardownQueueUnavailable(cause)))
          .finally(() => timer.cancel());
      };
      const timer = clock.after(addTimeoutMs ?? ADD_TIMEOUT_MS, () => {
        this.#untilReady.delete(begin);
        reject(new TeardownQueueUnavailable());
      });
      if (this.#isConnected()) begin();
      else this.#untilReady.add(begin);
    });
  }

  readonly #onReady = (): void => {
    const waiting = [...this.#untilReady];
    this.#untilReady.clear();
    for (const begin of waiting) begin();
  };
}
