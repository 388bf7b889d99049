// Where requests wait for an owner or for Redis instead of failing (rule 8). Bounded in number, in bytes and in time; one timer per
// cause, whatever the number of those that wait for it.
import { GatewayError } from '../errors/gateway-error.js';
import type { Clock } from '../lifecycle/clock.js';

const MAX_REQUESTS = 1000;
const MAX_BYTES = 32 * 1024 * 1024;
/** The first look comes soon: a crashed worker's lease is deleted within milliseconds. */
const FIRST_TICK_MS = 20;
/** Between two looks at one cause, ms. */
export const MAX_TICK_MS = 400;
/** A cause that nobody waited for so long starts from the first tick again. */
const FORGET_MS = 2000;

interface Cause {
  delayMs: number;
  lastMs: number;
  waiting: Array<() => void>;
}

export class HoldRoom {
  readonly #clock: Clock;
  readonly #causes = new Map<string, Cause>();
  #requests = 0;
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#requests;
  }

  /**
   * A place for one request; call the returned function when it leaves.
   * @throws GatewayError HOLD_FULL
   */
  enter(bytes: number): () => void {
    if (this.#requests >= MAX_REQUESTS || this.#bytes + bytes > MAX_BYTES) throw new GatewayError('HOLD_FULL');
    this.#requests++;
    this.#bytes += bytes;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#requests--;
      this.#bytes -= bytes;
    };
  }

  /** Resolves at the next tick of this cause (an owner's id, `redis`, …): time to look again. */
  tick(cause: string): Promise<void> {
    const now = this.#clock.monotonicMs();
    let entry = this.#causes.get(cause);
    if (!entry || (entry.waiting.length === 0 && now - entry.lastMs > FORGET_MS)) {
      this.#forgetOld(now);
      entry = { delayMs: FIRST_TICK_MS, lastMs: now, waiting: [] };
      this.#causes.set(cause, entry);
    }
    const current = entry;
    return new Promise((resolve) => {
      current.waiting.push(resolve);
      if (current.waiting.length > 1) return;
      this.#clock.after(current.delayMs, () => {
        current.lastMs = this.#clock.monotonicMs();
        current.delayMs = Math.min(current.delayMs * 1.5, MAX_TICK_MS);
        for (const wake of current.waiting.splice(0)) wake();
      });
    });
  }

  #forgetOld(now: number): void {
    if (this.#causes.size < MAX_REQUESTS) return;
    for (const [cause, entry] of this.#causes) {
      if (entry.waiting.length === 0 && now - entry.lastMs > FORGET_MS) this.#causes.delete(cause);
    }
  }
}
