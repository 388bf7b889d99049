// The bound of a pair: what all streams together may have out beyond the floor of each. Held by the sender, since it knows first.
import type { HopStream } from './stream.js';

export class SendBudget {
  /** What the peer takes per stream, in bytes; known with its HELLO, before any stream exists. */
  streamBytes = 0;
  /** What is left of the pair's bound, in bytes. */
  left = 0;
  readonly #waiting = new Set<HopStream>();
  #waking = false;

  /** The stream has more to send: it is pumped when credit of others comes back. */
  waitFor(stream: HopStream): void {
    this.#waiting.add(stream);
  }

  forget(stream: HopStream): void {
    this.#waiting.delete(stream);
    this.wake();
  }

  /** In the order in which they began to wait, while something is left. */
  wake(): void {
    // Not reentrant: a pumped stream may end and free its share, thousands deep. The loop below sees what it frees.
    if (this.#waking || this.left <= 0 || this.#waiting.size === 0) return;
    this.#waking = true;
    // Ends: a stream comes back into the set only when nothing is left.
    for (const stream of this.#waiting) {
      if (this.left <= 0) break;
      this.#waiting.delete(stream);
      stream.pump();
    }
    this.#waking = false;
  }
}
