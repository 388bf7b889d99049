// How fast the jobs of one backend may run, all workers of the cluster together: a few at a time, and none but a probe while it is
// broken. What may not run now is put back to a time of its own, spread by what the backend has shown to take, so that ten thousand
// jobs of one slow backend do not come back all together every few milliseconds.
import { mintNonce } from '../protocol/ids.js';
import type { RedisConnection } from '../redis/connect.js';
import { runScript } from '../redis/script.js';
import { paceKeys } from './queue-keys.js';
import { beginAttempt } from './scripts/begin-attempt.js';
import { endAttempt } from './scripts/end-attempt.js';

/** Of one backend in the cluster: sixteen workers must not mean sixty-four DELETEs at once. */
const MAX_RUNNING = 4;
/** So many failures in a row, and the backend is taken for broken. */
const BROKEN_AFTER = 3;
const FIRST_PAUSE_MS = 1000;
const MIN_WAIT_MS = 20;
/** Of a pause, and of a wait in line for a broken backend. */
const MAX_WAIT_MS = 60_000;
/** For a busy one: a thousand sessions that expire at once must not wait for places given out while it was slow. */
const MAX_BUSY_WAIT_MS = 10_000;
/** An attempt of a worker that died holds its place for so much longer than an attempt may take. */
const SLACK_MS = 5000;

export interface BackendPaceOptions {
  readonly connection: RedisConnection;
  /** `redis.prefix`. */
  readonly redisPrefix: string;
  /** How long an attempt may take, ms. */
  readonly attemptMs: number;
  /** First pause of a broken backend, ms; doubles with each failed probe, to a minute; default 1000. */
  readonly pauseMs?: number | undefined;
}

export type Begun = { readonly kind: 'begun'; readonly attempt: string } | { readonly kind: 'wait'; readonly waitMs: number };

export class BackendPace {
  readonly #options: BackendPaceOptions;

  constructor(options: BackendPaceOptions) {
    this.#options = options;
  }

  /** After `begun`, `end` must follow. @throws whatever Redis answered */
  async begin(backend: string): Promise<Begun> {
    const { connection, redisPrefix, attemptMs } = this.#options;
    const attempt = mintNonce();
    const args = [attempt, attemptMs + SLACK_MS, MAX_RUNNING, BROKEN_AFTER, MAX_WAIT_MS, MAX_BUSY_WAIT_MS];
    const reply = (await runScript(connection, beginAttempt, paceKeys(redisPrefix, backend), args)) as [string, string?];
    if (reply[0] === 'begun') return { kind: 'begun', attempt };
    return { kind: 'wait', waitMs: Math.min(Math.max(Number(reply[1]), MIN_WAIT_MS), MAX_WAIT_MS) };
  }

  /**
   * Never rejects: lost, the place is free when the attempt's time is over.
   * @param answered false: unreachable, timed out, or in trouble of its own (5xx, 429)
   */
  async end(backend: string, attempt: string, durationMs: number, answered: boolean): Promise<void> {
    const { connection, redisPrefix, pauseMs = FIRST_PAUSE_MS } = this.#options;
    const args = [attempt, Math.round(durationMs), answered ? '1' : '0', BROKEN_AFTER, pauseMs, MAX_WAIT_MS];
    await runScript(connection, endAttempt, paceKeys(redisPrefix, backend), args).catch(() => undefined);
  }
}
