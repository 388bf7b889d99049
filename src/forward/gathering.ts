// Room for large request bodies that are being read: a body gets all its room or waits for it, so that no two half-read ones can
// wait for each other. Small bodies fit into the credit that every stream has and need none.
import type { HopStream } from './stream.js';

export class Gathering {
  #roomBytes: number;
  readonly #admitted = new Map<HopStream, number>();
  readonly #waiting = new Map<HopStream, { readonly bytes: number; readonly run: () => void }>();

  /** @param roomBytes at least one body always fits, however large */
  constructor(roomBytes: number) {
    this.#roomBytes = roomBytes;
  }

  /** Runs `run` when there is room, perhaps at once; first come, first served. */
  admit(stream: HopStream, bytes: number, run: () => void): void {
    this.#waiting.set(stream, { bytes, run });
    this.#admitNext();
  }

  /** The body is read, or never will be. */
  release(stream: HopStream): void {
    const bytes = this.#admitted.get(stream);
    if (bytes !== undefined) {
      this.#admitted.delete(stream);
      this.#roomBytes += bytes;
    } else if (!this.#waiting.delete(stream)) return;
    this.#admitNext();
  }

  #admitNext(): void {
    for (const [stream, { bytes, run }] of this.#waiting) {
      if (bytes > this.#roomBytes && this.#admitted.size > 0) return;
      this.#waiting.delete(stream);
      this.#roomBytes -= bytes;
      this.#admitted.set(stream, bytes);
      run();
    }
  }
}
