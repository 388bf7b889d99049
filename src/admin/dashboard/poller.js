// Asks again and again: never twice at a time, less often while it fails, not at all while nobody looks. Knows no DOM.

/**
 * @typedef {object} PollerParts
 * @property {() => Promise<boolean>} ask whether all was answered
 * @property {(error: unknown) => void} onMistake
 * @property {(run: () => void, ms: number) => unknown} later
 * @property {(timer: any) => void} cancel
 * @property {number} everyMs
 * @property {number} maxMs
 */

export class Poller {
  #failures = 0;
  #isAsking = false;
  #isWanted = false;
  #isPaused = true;
  /** @type {unknown} */
  #timer;

  /** @param {PollerParts} parts */
  constructor(parts) {
    this.parts = parts;
  }

  /** Begins, or goes on: at once. */
  resume() {
    this.#isPaused = false;
    this.soon();
  }

  pause() {
    this.#isPaused = true;
    this.parts.cancel(this.#timer);
  }

  /** At once, or right after what is under way, which may have been answered before whatever has changed. */
  soon() {
    if (this.#isPaused) return;
    this.#isWanted = true;
    if (!this.#isAsking) void this.#run();
  }

  /** Until the next one, ms. */
  get delayMs() {
    return Math.min(this.parts.maxMs, this.parts.everyMs * 2 ** this.#failures);
  }

  async #run() {
    this.parts.cancel(this.#timer);
    this.#isAsking = true;
    this.#isWanted = false;
    let isAnswered = false;
    try {
      isAnswered = await this.parts.ask();
    } catch (error) {
      // What stops asking because of a mistake of the page would look alive for ever.
      this.parts.onMistake(error);
    }
    this.#asked(isAnswered);
  }

  /** @param {boolean} isAnswered */
  #asked(isAnswered) {
    this.#isAsking = false;
    // Bounded only so that the power stays a number.
    this.#failures = isAnswered ? 0 : Math.min(this.#failures + 1, 20);
    if (this.#isPaused) return;
    if (this.#isWanted) void this.#run();
    else this.#timer = this.parts.later(() => void this.#run(), this.delayMs);
  }
}
