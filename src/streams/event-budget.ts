// What all streams of a worker remember together: bounded, whatever the sessions are worth (I10).
export class EventBudget {
  readonly maxBytes: number;
  #bytes = 0;

  /** @param maxBytes default 64 MiB */
  constructor(maxBytes = 64 * 1024 * 1024) {
    this.maxBytes = maxBytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isExceeded(): boolean {
    return this.#bytes > this.maxBytes;
  }
}
