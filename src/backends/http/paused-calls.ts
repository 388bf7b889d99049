// Calls whose answers are not read on, since their callers take nothing. Each holds one of the connections that all sessions of the
// backend share: where others wait for one, the callers that have been slow for longest are given up (their calls are not).
import type { Clock, Timer } from '../../lifecycle/clock.js';

export interface PausedCall {
  /** Gives its caller up and reads on. */
  letGo(): void;
}

/** So long anybody may take nothing, whoever waits; and so long whoever was given up may take to free his connection. */
const GRACE_MS = 1000;
const LOOK_MS = 250;

export class PausedCalls {
  readonly #clock: Clock;
  readonly #waiting: () => number;
  /** Since when, monotonic; longest first. */
  readonly #paused = new Map<PausedCall, number>();
  #timer: Timer | undefined;
  #nextMs = 0;

  /** @param waiting requests that wait for a connection */
  constructor(clock: Clock, waiting: () => number) {
    this.#clock = clock;
    this.#waiting = waiting;
  }

  add(call: PausedCall): void {
    this.#paused.set(call, this.#clock.monotonicMs());
    this.relieve();
  }

  delete(call: PausedCall): void {
    this.#paused.delete(call);
  }

  get size(): number {
    return this.#paused.size;
  }

  /** To be called when a request begins to wait. Looks until nobody waits any more. */
  relieve(): void {
    if (this.#timer || this.#paused.size === 0 || this.#waiting() === 0) return;
    this.#timer = this.#clock.every(LOOK_MS, () => this.#look());
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#paused.clear();
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#nextMs) this.#giveUp(this.#waiting(), nowMs);
    if (this.#paused.size > 0 && this.#waiting() > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** @param most how many */
  #giveUp(most: number, nowMs: number): void {
    for (const [call, sinceMs] of this.#paused) {
      if (most-- <= 0 || sinceMs > nowMs - GRACE_MS) return;
      this.#nextMs = nowMs + GRACE_MS;
      this.#paused.delete(call);
      call.letGo();
    }
  }
}
