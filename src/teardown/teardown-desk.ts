// The teardown queue as an operator works on it: what waits, what was given up, and trying again. Of what a job seals nothing is read.
import type { Job } from 'bullmq';
import type { Clock } from '../lifecycle/clock.js';
import type { BullTeardownQueue } from './bull-teardown-queue.js';
import type { TeardownJob } from './job.js';

/** failed: the dead letters. */
export const TEARDOWN_STATES = ['failed', 'waiting', 'delayed', 'active'] as const;
export type TeardownState = (typeof TEARDOWN_STATES)[number];

export interface ListedTeardown {
  readonly id: string;
  readonly state: TeardownState;
  readonly backend: string;
  readonly sessionRef: string;
  readonly protocolVersion: string;
  /** Why the last attempt failed: a word of ours. */
  readonly reason: string | undefined;
  readonly attempts: number;
  /** ms since the epoch. */
  readonly createdMs: number;
  /** Given up then, ms since the epoch. */
  readonly failedMs: number | undefined;
}

/** busy: a worker is at it just now · notFailed: it is no dead letter (any more). */
export type DeskOutcome = 'done' | 'unknown' | 'busy' | 'notFailed';

const ID = /^t-[0-9a-f]{64}$/;
const MAX_REASON = 200;
/** Of one call; what is left has to be asked for again. */
const MAX_RETRIED = 1000;
const RETRY_ALL_MS = 1500;
const AT_A_TIME = 50;

export class TeardownDesk {
  readonly #queue: BullTeardownQueue;
  readonly #clock: Clock;

  constructor(queue: BullTeardownQueue, clock: Clock) {
    this.#queue = queue;
    this.#clock = clock;
  }

  /** Oldest first. @throws TeardownQueueUnavailable */
  async list(state: TeardownState, offset: number, limit: number): Promise<{ jobs: ListedTeardown[]; total: number }> {
    const [jobs, counts] = await this.#queue.ask((queue) =>
      Promise.all([queue.getJobs([state], offset, offset + limit - 1, true), queue.getJobCounts(state)]),
    );
    // Race: gone between the list and its reading.
    const found = jobs.filter((job): job is Job<TeardownJob> => Boolean(job));
    return { jobs: found.map((job) => describe(job, state)), total: counts[state] ?? 0 };
  }

  /** With all its attempts again. @throws TeardownQueueUnavailable */
  async retry(id: string): Promise<DeskOutcome> {
    const job = await this.#find(id);
    return job ? this.#queue.ask(() => this.#retry(job)) : 'unknown';
  }

  /**
   * Dead letters, oldest first, as many as can be done in about a second.
   * @param backend only its own
   * @throws TeardownQueueUnavailable
   */
  async retryAll(backend: string | undefined): Promise<{ retried: number; left: number }> {
    const untilMs = this.#clock.monotonicMs() + RETRY_ALL_MS;
    // Read before the first is tried again: what fails anew meanwhile must not come round once more.
    const ids = await this.#queue.ask((queue) => queue.getRanges(['failed'], 0, -1, true));
    let retried = 0;
    let from = 0;
    for (; from < ids.length && retried < MAX_RETRIED && this.#clock.monotonicMs() < untilMs; from += AT_A_TIME) {
      const some = ids.slice(from, from + AT_A_TIME);
      const outcomes = await this.#queue.ask(() => Promise.all(some.map((id) => this.#retryOf(id, backend))));
      retried += outcomes.filter((outcome) => outcome === 'done').length;
    }
    return { retried, left: Math.max(0, ids.length - from) };
  }

  /** Its backend session is ended by nobody then. @throws TeardownQueueUnavailable */
  async drop(id: string): Promise<DeskOutcome> {
    const job = await this.#find(id);
    if (!job) return 'unknown';
    return this.#queue.ask(async () => {
      if (await job.isActive()) return 'busy';
      try {
        await job.remove();
        return 'done';
      } catch (error) {
        // Race: a worker took it meanwhile. BullMQ says so by its text alone, so the state is looked at.
        if (await job.isActive()) return 'busy';
        throw error;
      }
    });
  }

  async #find(id: string): Promise<Job<TeardownJob> | undefined> {
    if (!ID.test(id)) return undefined;
    const job = (await this.#queue.ask((queue) => queue.getJob(id))) as Job<TeardownJob> | undefined;
    // Finished ones are kept only so that a second job of the same id is dropped.
    return job && !(await this.#queue.ask(() => job.isCompleted())) ? job : undefined;
  }

  async #retryOf(id: string, backend: string | undefined): Promise<DeskOutcome> {
    const job = (await this.#queue.queue.getJob(id)) as Job<TeardownJob> | undefined;
    if (!job || (backend !== undefined && job.data.backend !== backend)) return 'unknown';
    return this.#retry(job);
  }

  async #retry(job: Job<TeardownJob>): Promise<DeskOutcome> {
    if (!(await job.isFailed())) return 'notFailed';
    // Its age counts from now on, or one that has to wait for its backend would be given up again at once.
    await job.updateData({ ...job.data, retriedMs: this.#clock.wallMs() });
    try {
      await job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true });
      return 'done';
    } catch (error) {
      // Race: somebody else did, or it was dropped.
      if (!(await job.isFailed())) return 'notFailed';
      throw error;
    }
  }
}

function describe(job: Job<TeardownJob>, state: TeardownState): ListedTeardown {
  const { backend, sessionRef, protocolVersion } = job.data;
  return {
    id: String(job.id),
    state,
    backend,
    sessionRef,
    protocolVersion,
    reason: job.failedReason ? job.failedReason.slice(0, MAX_REASON) : undefined,
    attempts: job.attemptsMade,
    createdMs: job.timestamp,
    failedMs: state === 'failed' ? (job.finishedOn ?? undefined) : undefined,
  };
}
