// What all streams of a worker remember together: bounded, whatever the sessions are worth.

export interface Forgettable {
  /** All that is remembered goes, also what a reader that takes nothing has not got. */
  makeRoom(): void;
}

export class EventBudget {
  readonly maxBytes: number;
  #bytes = 0;
  /** Streams that are over, kept for a reader that was cut off; in the order of their ends. */
  readonly #ended = new Set<Forgettable>();

  /** @param maxBytes default 64 MiB */
  constructor(maxBytes = 64 * 1024 * 1024) {
    this.maxBytes = maxBytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  noteEnded(stream: Forgettable): void {
    this.#ended.add(stream);
  }

  noteForgotten(stream: Forgettable): void {
    this.#ended.delete(stream);
  }

  /** What is over goes before what runs: else idle sessions that hold the budget would leave every live stream one event. */
  makeRoom(): void {
    for (const oldest of this.#ended) {
      if (!this.isExceeded) return;
      oldest.makeRoom();
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isHalfUsed(): boolean {
    return this.#bytes > this.maxBytes / 2;
  }

  get isExceeded(): boolean {
    return this.#bytes > this.maxBytes;
  }
}
