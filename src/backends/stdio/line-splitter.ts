// Cuts a byte stream into lines, in time linear to its length (the SDK's ReadBuffer copies and searches everything again with each
// chunk: a line of 32 MiB costs it seconds of a blocked event loop) and within a bound.

const NEWLINE = 10;
const RETURN = 13;

export interface LineSplitterOptions {
  readonly maxBytes: number;
  /** What becomes of a longer line: its beginning alone is given, or nothing and `onTooLong` runs. */
  readonly onTooLong: 'cut' | (() => void);
}

export class LineSplitter {
  readonly #options: LineSplitterOptions;
  readonly #onLine: (line: Buffer) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  #stopped = false;

  /** @param onLine gets each line without its end; empty lines too */
  constructor(options: LineSplitterOptions, onLine: (line: Buffer) => void) {
    this.#options = options;
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    let start = 0;
    while (!this.#stopped) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end === -1) break;
      this.#keep(chunk.subarray(start, end));
      if (this.#stopped) return;
      this.#give();
      start = end + 1;
    }
    if (!this.#stopped && start < chunk.length) this.#keep(chunk.subarray(start));
  }

  /** The stream has ended: what stands behind the last newline is a line too. */
  finish(): void {
    if (!this.#stopped && this.#bytes > 0) this.#give();
    this.#stopped = true;
  }

  #keep(part: Buffer): void {
    const room = this.#options.maxBytes - this.#bytes;
    if (part.length > room && this.#options.onTooLong !== 'cut') {
      this.#stopped = true;
      this.#parts = [];
      this.#options.onTooLong();
      return;
    }
    const kept = part.length > room ? part.subarray(0, room) : part;
    if (kept.length === 0) return;
    this.#parts.push(kept);
    this.#bytes += kept.length;
  }

  #give(): void {
    const line = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    this.#onLine(line[line.length - 1] === RETURN ? line.subarray(0, -1) : line);
  }
}
