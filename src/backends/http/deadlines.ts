// Deadlines of many requests on one timer: a place in a bag costs a request a tenth of what a timer of its own does, and 50 ms of
// coarseness is nothing to a deadline of seconds.
import { Bag } from '../../lifecycle/bag.js';
import type { Clock, Timer } from '../../lifecycle/clock.js';

const SWEEP_MS = 50;

export interface Expiring {
  /** Monotonic; may change while it is watched. */
  readonly deadlineMs: number;
  /** Runs once, after the deadline; it is no longer watched then. */
  expire(): void;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #watched = new Bag<Expiring>('deadline');
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(entry: Expiring): void {
    this.#watched.add(entry);
    this.#timer ??= this.#clock.every(SWEEP_MS, () => this.#sweep());
  }

  delete(entry: Expiring): void {
    this.#watched.delete(entry);
  }

  close(): void {
    this.#watched.clear();
    this.#stop();
  }

  #sweep(): void {
    // The timer ends with the first sweep that finds nothing, not with the last deletion: under load it then runs through.
    if (this.#watched.size === 0) {
      this.#stop();
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    this.#watched.forEach((entry) => {
      if (entry.deadlineMs > nowMs) return;
      this.#watched.delete(entry);
      entry.expire();
    });
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
