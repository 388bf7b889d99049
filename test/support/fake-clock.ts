// Time that stands still until a test moves it. Timers run inside advance(), in the order in which they are due.
import type { Clock, Timer } from '../../src/lifecycle/clock.js';

interface Pending {
  dueMs: number;
  readonly periodMs: number | undefined;
  readonly run: () => void;
}

export class FakeClock implements Clock {
  #nowMs: number;
  #wallOffsetMs: number;
  readonly #pending = new Set<Pending>();

  constructor(nowMs = 1_000, wallMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
    this.#wallOffsetMs = wallMs - nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#add({ dueMs: this.#nowMs + delayMs, periodMs: undefined, run });
  }

  every(periodMs: number, run: () => void): Timer {
    return this.#add({ dueMs: this.#nowMs + periodMs, periodMs, run });
  }

  /** Timers that have not run and were not cancelled. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  /** Both times go on by `ms`; what falls due runs, each timer at its own time. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#firstDueBy(endMs);
      if (!next) break;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      if (next.periodMs === undefined) this.#pending.delete(next);
      else next.dueMs += Math.max(1, next.periodMs);
      next.run();
    }
    this.#nowMs = endMs;
  }

  /** The process was stopped for `ms`: time went on without it, and what fell due meanwhile runs late, all of it now. */
  jump(ms: number): void {
    this.#nowMs += ms;
    this.advance(0);
  }

  /** The wall clock steps alone, as by an operator or NTP. */
  stepWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  #add(pending: Pending): Timer {
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  #firstDueBy(endMs: number): Pending | undefined {
    let first: Pending | undefined;
    for (const pending of this.#pending) if (pending.dueMs <= endMs && (!first || pending.dueMs < first.dueMs)) first = pending;
    return first;
  }
}
