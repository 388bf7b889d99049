// Runs teardown jobs, those of any worker: a DELETE to the backend, until it is done or given up.
import { DelayedError, type Job, UnrecoverableError } from 'bullmq';
import type { Backend, EndAnswer } from '../backends/backend.js';
import type { Clock } from '../lifecycle/clock.js';
import type { RedisConnection } from '../redis/connect.js';
import { digestOf } from '../protocol/ids.js';
import type { Keyring } from '../secrets/keyring.js';
import { BackendPace, type Begun } from './backend-pace.js';
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
  /**
   * Who ends a backend session that was opened at `url`; the configuration may have changed since. Without `url`: the backend of this
   * name in the configuration as it is now.
   */
  readonly backend: (name: string, url: string | undefined) => Backend | undefined;
  /** Whether this backend session is open again by now, in another session or anew in its own: backends recycle ids. */
  readonly isOpenElsewhere: (job: TeardownJob, target: SealedTarget) => Promise<boolean>;
  /** Nothing more will be tried for it: it was ended, or given up. Must not reject. */
  readonly onOver?: (job: TeardownJob, target: SealedTarget) => Promise<void>;
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
  readonly #pace: BackendPace;

  /** Begins at once. */
  constructor(options: TeardownWorkerOptions) {
    this.#options = options;
    const { connection, redisPrefix, pauseMs } = options;
    this.#pace = new BackendPace({ connection, redisPrefix, pauseMs, attemptMs: options.timeoutMs ?? TIMEOUT_MS });
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
    // A key that this worker does not hold (yet): another one may.
    const target = openSealed(this.#options.keyring, data);
    const end = this.#options.backend(data.backend, target?.url)?.end;
    if (!end) throw await this.#giveUp('unknown_backend', data, target);
    if (!target) throw await this.#failed(job, 'cannot be opened', undefined);
    if (target.id === '') return this.#finish('done', data, undefined);
    const place = placeOf(data, target);
    const begun = await this.#begin(job, place, target);
    if (begun.kind === 'wait') return this.#putBack(job, token, begun.waitMs, target);
    const startedMs = this.#options.clock.monotonicMs();
    // Only what the backend itself did speaks against it.
    let isHealthy = true;
    try {
      if (await this.#isReused(job, target)) return await this.#finish('reused', data, target);
      const answer = await this.#end(end, data, target);
      isHealthy = answer.kind === 'status' && answer.status < 500 && answer.status !== 429;
      return await this.#judge(job, answer, target);
    } finally {
      await this.#pace.end(place, begun.attempt, this.#options.clock.monotonicMs() - startedMs, isHealthy);
    }
  }

  #begin(job: Job<TeardownJob>, place: string, target: SealedTarget): Promise<Begun> {
    return this.#pace.begin(place).catch(async () => {
      throw await this.#failed(job, 'redis does not answer', target);
    });
  }

  #isReused(job: Job<TeardownJob>, target: SealedTarget): Promise<boolean> {
    return this.#options.isOpenElsewhere(job.data, target).catch(async () => {
      throw await this.#failed(job, 'sessions cannot be looked up', target);
    });
  }

  /** Never rejects: the text of an unforeseen error could hold a header, and would lie in Redis as the reason of the failure. */
  #end(end: NonNullable<Backend['end']>, data: TeardownJob, { id, headers }: SealedTarget): Promise<EndAnswer> {
    const target = { id, headers, protocolVersion: data.protocolVersion };
    return end(target, this.#options.timeoutMs ?? TIMEOUT_MS).catch(() => ({ kind: 'unreachable', reason: 'failed' }));
  }

  async #judge(job: Job<TeardownJob>, answer: EndAnswer, target: SealedTarget): Promise<TeardownResult> {
    if (answer.kind === 'unreachable') throw await this.#failed(job, `unreachable: ${answer.reason}`, target);
    const { status } = answer;
    if ((status >= 200 && status < 300) || IS_DONE.has(status)) return this.#finish('done', job.data, target);
    // The credentials have expired or were taken back: no later attempt has better ones.
    if (IS_REFUSAL.has(status)) throw await this.#giveUp('refused', job.data, target);
    throw await this.#failed(job, `http_${status}`, target);
  }

  async #putBack(job: Job<TeardownJob>, token: string | undefined, waitMs: number, target: SealedTarget): Promise<never> {
    const ageMs = this.#options.clock.wallMs() - Math.max(job.timestamp, job.data.retriedMs ?? 0);
    // Being put back costs no attempt, so a backend that never returns would keep its jobs for ever.
    if (ageMs > (this.#options.maxAgeMs ?? MAX_AGE_MS)) throw await this.#giveUp('exhausted', job.data, target);
    await job.moveToDelayed(this.#options.clock.wallMs() + waitMs, token);
    throw new DelayedError();
  }

  async #finish(result: TeardownResult, data: TeardownJob, target: SealedTarget | undefined): Promise<TeardownResult> {
    this.#options.onResult?.(result, data.backend);
    if (target) await this.#options.onOver?.(data, target);
    return result;
  }

  async #giveUp(result: TeardownResult, data: TeardownJob, target: SealedTarget | undefined): Promise<UnrecoverableError> {
    await this.#finish(result, data, target);
    return new UnrecoverableError(result);
  }

  async #failed(job: Job<TeardownJob>, reason: string, target: SealedTarget | undefined): Promise<Error> {
    const isLast = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
    if (isLast) await this.#finish('exhausted', job.data, target);
    else this.#options.onResult?.('retry', job.data.backend);
    return new Error(reason);
  }
}

/** What has a pace of its own: a backend that moved is not as slow as where it was. A digest, since its URL must not stand in Redis. */
function placeOf({ backend }: TeardownJob, { url }: SealedTarget): string {
  return url === undefined ? backend : digestOf(url);
}
