// Finds a peer that neither answers nor closes (stopped, or cut off): any byte from it is a sign of life.
import type { Clock, Timer } from '../lifecycle/clock.js';

/** A connection without open requests is asked this many times more rarely. */
const IDLE_FACTOR = 15;
/** Unanswered periods after which the peer is lost. */
const MISSES = 2;

export interface PulseOptions {
  readonly clock: Clock;
  /** Milliseconds. */
  readonly periodMs: number;
  /** Whether requests are open. */
  isBusy(): boolean;
  ask(): void;
  lost(): void;
}

/**
 * Counts silent periods instead of measuring time. Race: this process is stopped for a minute, then its timer runs before it reads
 * what came meanwhile; by the clock every peer would be dead.
 */
export class Pulse {
  readonly #options: PulseOptions;
  readonly #timer: Timer;
  #heard = true;
  #unanswered = 0;
  #quietTicks = 0;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#timer = options.clock.every(options.periodMs, () => this.#tick());
  }

  heard(): void {
    this.#heard = true;
  }

  stop(): void {
    this.#timer.cancel();
  }

  #tick(): void {
    if (this.#heard) this.#unanswered = 0;
    else if (this.#unanswered >= MISSES) {
      this.#options.lost();
      return;
    }
    this.#quietTicks += 1;
    if (this.#unanswered === 0 && !this.#options.isBusy() && this.#quietTicks < IDLE_FACTOR) return;
    this.#quietTicks = 0;
    this.#heard = false;
    this.#unanswered += 1;
    this.#options.ask();
  }
}
