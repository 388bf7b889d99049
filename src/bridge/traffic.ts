// Bounds what the bridge holds. Requests beyond the bound wait here and not in stdin, so that the answers and cancellations
// which running requests may wait for still come through; stdin stops only when the line of waiting ones is long itself.

/** Requests under way at once. */
const MAX_REQUESTS = 256;
/** Requests that wait for a place, notifications and responses under way, and the bytes of all of them: beyond these stdin stops. */
const MAX_WAITING = 1024;
const MAX_OTHERS = 256;
const MAX_BYTES = 64 * 1024 * 1024;

export class Traffic {
  readonly #setPaused: (paused: boolean) => void;
  readonly #waiting: Array<() => void> = [];
  #requests = 0;
  #others = 0;
  #bytes = 0;

  /** @param setPaused stops and resumes the reading of stdin */
  constructor(setPaused: (paused: boolean) => void) {
    this.#setPaused = setPaused;
  }

  /** Nothing is under way. */
  get isQuiet(): boolean {
    return this.#requests + this.#others + this.#waiting.length === 0;
  }

  /** Runs a request when there is a place for it. */
  async request(bytes: number, run: () => Promise<unknown>): Promise<void> {
    this.#bytes += bytes;
    if (this.#requests < MAX_REQUESTS) this.#requests++;
    else {
      const place = new Promise<void>((resolve) => this.#waiting.push(resolve));
      this.#update();
      await place;
    }
    this.#update();
    try {
      await run();
    } finally {
      this.#bytes -= bytes;
      // The place passes on as it is.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#requests--;
      this.#update();
    }
  }

  /** Runs a notification or a response at once. */
  async other(bytes: number, run: () => Promise<unknown>): Promise<void> {
    this.#bytes += bytes;
    this.#others++;
    this.#update();
    try {
      await run();
    } finally {
      this.#bytes -= bytes;
      this.#others--;
      this.#update();
    }
  }

  #update(): void {
    this.#setPaused(this.#waiting.length >= MAX_WAITING || this.#others >= MAX_OTHERS || this.#bytes >= MAX_BYTES);
  }
}
