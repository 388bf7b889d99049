// How often an authorization server is asked, when it fails and when its tokens are refused.
import type { Clock } from '../../lifecycle/clock.js';

const FIRST_MS = 1000;
const LONGEST_MS = 60_000;

/** Pause after a failure, ms. @param failures in a row before this one */
export function retryPauseMs(failures: number): number {
  return Math.min(FIRST_MS * 2 ** Math.min(failures, 10), LONGEST_MS) * (0.8 + Math.random() * 0.4);
}

const REFUSAL_MS = 5000;

/**
 * A backend that refuses every token must not make us fetch one per request: the first refusal drops the token at once, the next one
 * counts after 5 s, then 10 s, and so on up to a minute. Meanwhile requests go out with what there is, and fail as the backend says.
 */
export class RefusalPace {
  readonly #clock: Clock;
  #waitMs = 0;
  #droppedMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether this refusal may drop the token; counts it if so. */
  mayDrop(): boolean {
    const nowMs = this.#clock.monotonicMs();
    const sinceMs = nowMs - this.#droppedMs;
    if (sinceMs < this.#waitMs) return false;
    // A long peace: what came between was good.
    this.#waitMs = sinceMs > 4 * LONGEST_MS ? REFUSAL_MS : Math.min(Math.max(this.#waitMs * 2, REFUSAL_MS), LONGEST_MS);
    this.#droppedMs = nowMs;
    return true;
  }
}
