// One ticker per worker for every open stream: comments keep balancers from cutting quiet ones.
import { Bag } from '../lifecycle/bag.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import { COMMENT_INTERVAL_MS } from './event-stream.js';

/** All that are due at a tick are written in one turn of the event loop: of thousands of streams this many fewer. */
const TICK_MS = 250;

export interface KeptAlive {
  /** When its next comment is due, monotonic; kept here. */
  nextCommentMs: number;
  keepAlive(): void;
}

export class KeepAlive {
  readonly #clock: Clock;
  readonly #items = new Bag<KeptAlive>('kept alive');
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param firstAfterMs when its first comment is due; then every 15 s. Default: at some time between the half of that and the whole, since
   *   thousands come at once when their owner has died, and would be due at once ever after
   */
  add(item: KeptAlive, firstAfterMs = COMMENT_INTERVAL_MS * (1 - Math.random() / 2)): void {
    item.nextCommentMs = this.#clock.monotonicMs() + firstAfterMs;
    this.#items.add(item);
    this.#timer ??= this.#clock.every(TICK_MS, () => this.#tick());
  }

  remove(item: KeptAlive): void {
    this.#items.delete(item);
  }

  get size(): number {
    return this.#items.size;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#items.clear();
  }

  #tick(): void {
    const now = this.#clock.monotonicMs();
    this.#items.forEach((item) => {
      if (item.nextCommentMs > now) return;
      item.nextCommentMs = now + COMMENT_INTERVAL_MS;
      item.keepAlive();
    });
  }
}
