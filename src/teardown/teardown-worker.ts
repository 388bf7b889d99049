// Runs teardown jobs, those of any worker: a DELETE to the backend, until it is done or given up.
import { DelayedError, type Job, UnrecoverableError } from 'bullmq';
import type { Backend, EndAnswer } from '../backends/backend.js';
import type { Clock } from '../lifecycle/clock.js';
import type { RedisConnection } from '../redis/connect.js';
import type { Keyring } from '../secrets/keyring.js';
import { BackendPace } from './backend-pace.js';
import type { TeardownJob } from './job.js';
import { LeavingWorker } from './leaving-worker.js';
import { QUEUE_NAME, queuePrefix } from './queue-keys.js';
import { openSealed, type SealedTarget } from './sealed-target.js';

/**
 * How an attempt ended, for the metric. `done`: ended, or already gone; `reused`: its id is open in another session, so it was left
 * alone; `retry`: will be tried again; `refused`, `unknown_backend`, `exhausted`: given up, lies among the dead letters.
 */
export type TeardownResult = 'done' | 'reused' | 'retry' | 'refused' | 'unknown_backend' | 'exhausted';

export interface TeardownWorkerOptions {
  /** Stays the caller's: not closed here. Must have `maxRetriesPerRequest: null`; BullMQ duplicates it for its blocking command. */
  readonly connection: RedisConnection;
  /** `redis.prefix`. */
  readonly redisPrefix: string;
  readonly keyring: Keyring;
  readonly clock: Clock;
  /** By its name in the configuration as it is now. */
  readonly backend: (name: string) => Backend | undefined;
  /** Whether another session has this backend session open by now: backends recycle ids. */
  readonly isOpenElsewhere: (job: TeardownJob, id: string) => Promise<boolean>;
  /** Of one DELETE, ms; default 5000. */
  readonly timeoutMs?: number;
  /** Jobs of this worker at a time, all backends together; default 32. */
  readonly concurrency?: number;
  /** First pause of a broken backend, ms; default 1000. */
  readonly pauseMs?: number;
  /** A job that was put back again and again, because its backend stays broken, is given up at this age, ms; default a day. */
  readonly maxAgeMs?: number;
  /** How long a job of a worker that died stays its own, ms; default 15 000. Looked for at the same interval. */
  readonly stalledAfterMs?: number;
  readonly onResult?: (result: TeardownResult, backend: string) => void;
  /** Given up: for the log. `reason` is a word, no secret. */
  readonly onGivenUp?: (job: TeardownJob, reason: string) => void;
  /** Errors of the connection, for a rate-limited log. */
  readonly onError?: (error: Error) => void;
}

const TIMEOUT_MS = 5000;
const CONCURRENCY = 32;
const MAX_AGE_MS = 24 * 3600_000;
const STALLED_AFTER_MS = 15_000;
/** Deaths of workers while they ran it that a job survives; a DELETE that runs twice does no harm. */
const MAX_STALLED = 10;
const IS_DONE = new Set([400, 404, 405]);
const IS_REFUSAL = new Set([401, 403]);

export class TeardownWorker {
  readonly #options: TeardownWorkerOptions;
  readonly #worker: LeavingWorker<TeardownJob, TeardownResult>;
  /** By name of a configured backend. */
  readonly #paces = new Map<string, BackendPace>();

  /** Begins at once. */
  constructor(options: TeardownWorkerOptions) {
    this.#options = options;
    const stalledAfterMs = options.stalledAfterMs ?? STALLED_AFTER_MS;
    this.#worker = new LeavingWorker<TeardownJob, TeardownResult>(QUEUE_NAME, (job, token) => this.#run(job, token), {
      connection: options.connection,
      prefix: queuePrefix(options.redisPrefix),
      concurrency: options.concurrency ?? CONCURRENCY,
      lockDuration: stalledAfterMs,
      stalledInterval: stalledAfterMs,
      maxStalledCount: MAX_STALLED,
    });
    this.#worker.on('error', (error) => options.onError?.(error));
    this.#worker.on('failed', (job, error) => {
      if (job && job.finishedOn !== undefined) options.onGivenUp?.(job.data, error.message);
    });
  }

  /**
   * Takes no further job and waits for those that run. What is not over after `withinMs` is left to the others: they find it stalled.
   * Never rejects.
   */
  async close(withinMs: number): Promise<void> {
    const closed = this.#worker.close().catch((error: Error) => this.#options.onError?.(error));
    let timer: { cancel(): void } | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = this.#options.clock.after(withinMs, () => resolve('late'));
    });
    const outcome = await Promise.race([closed, late]);
    timer?.cancel();
    if (outcome === 'late') this.#worker.abandon();
  }

  async #run(job: Job<TeardownJob, TeardownResult>, token: string | undefined): Promise<TeardownResult> {
    const { data } = job;
    const backend = this.#options.backend(data.backend);
    const end = backend?.end;
    if (!end) throw this.#giveUp('unknown_backend', data);
    // A key that this worker does not hold (yet): another one may.
    const target = openSealed(this.#options.keyring, data);
    if (!target) throw this.#failed(job, 'cannot be opened');
    if (target.id === '') return this.#finish('done', data);
    const pace = this.#paceOf(data.backend);
    const waitMs = pace.begin();
    if (waitMs > 0) return this.#putBack(job, token, waitMs);
    const startedMs = this.#options.clock.monotonicMs();
    // Only what the backend itself did speaks against it.
    let isHealthy = true;
    try {
      if (await this.#isReused(job, target.id)) return this.#finish('reused', data);
      const answer = await this.#end((what, withinMs) => end.call(backend, what, withinMs), data, target);
      isHealthy = answer.kind === 'status' && answer.status < 500 && answer.status !== 429;
      return this.#judge(job, answer);
    } finally {
      pace.end(startedMs, isHealthy);
    }
  }

  #isReused(job: Job<TeardownJob>, id: string): Promise<boolean> {
    return this.#options.isOpenElsewhere(job.data, id).catch(() => {
      throw this.#failed(job, 'sessions cannot be looked up');
    });
  }

  /** Never rejects: the text of an unforeseen error could hold a header, and would lie in Redis as the reason of the failure. */
  #end(end: NonNullable<Backend['end']>, data: TeardownJob, { id, headers }: SealedTarget): Promise<EndAnswer> {
    const target = { id, headers, protocolVersion: data.protocolVersion };
    return end(target, this.#options.timeoutMs ?? TIMEOUT_MS).catch(() => ({ kind: 'unreachable', reason: 'failed' }));
  }

  #judge(job: Job<TeardownJob>, answer: EndAnswer): TeardownResult {
    if (answer.kind === 'unreachable') throw this.#failed(job, `unreachable: ${answer.reason}`);
    const { status } = answer;
    if ((status >= 200 && status < 300) || IS_DONE.has(status)) return this.#finish('done', job.data);
    // The credentials have expired or were taken back: no later attempt has better ones.
    if (IS_REFUSAL.has(status)) throw this.#giveUp('refused', job.data);
    throw this.#failed(job, `http_${status}`);
  }

  async #putBack(job: Job<TeardownJob>, token: string | undefined, waitMs: number): Promise<never> {
    const ageMs = this.#options.clock.wallMs() - Math.max(job.timestamp, job.data.retriedMs ?? 0);
    // Being put back costs no attempt, so a backend that never returns would keep its jobs for ever.
    if (ageMs > (this.#options.maxAgeMs ?? MAX_AGE_MS)) throw this.#giveUp('exhausted', job.data);
    await job.moveToDelayed(this.#options.clock.wallMs() + waitMs, token);
    throw new DelayedError();
  }

  #paceOf(backend: string): BackendPace {
    let pace = this.#paces.get(backend);
    if (!pace) {
      pace = new BackendPace(this.#options.clock, this.#options.pauseMs);
      this.#paces.set(backend, pace);
    }
    return pace;
  }

  #finish(result: TeardownResult, { backend }: TeardownJob): TeardownResult {
    this.#options.onResult?.(result, backend);
    return result;
  }

  #giveUp(result: TeardownResult, { backend }: TeardownJob): UnrecoverableError {
    this.#options.onResult?.(result, backend);
    return new UnrecoverableError(result);
  }

  #failed(job: Job<TeardownJob>, reason: string): Error {
    const isLast = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
    this.#options.onResult?.(isLast ? 'exhausted' : 'retry', job.data.backend);
    return new Error(reason);
  }
}
