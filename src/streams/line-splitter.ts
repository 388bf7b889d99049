// Cuts a byte stream into lines, in time linear to its length (the SDK's ReadBuffer copies and searches everything again with each
// chunk: a line of 32 MiB costs it seconds of a blocked event loop) and within a bound.

const NEWLINE = 10;
const RETURN = 13;

export interface LineSplitterOptions {
  readonly maxBytes: number;
  /**
   * What becomes of a longer line: its beginning alone is given; or nothing, `onTooLong` runs and no more is read; or it is skipped:
   * its two ends (`END_BYTES` each, no more of it is kept) are told in its place, and what follows is read on.
   */
  readonly onTooLong: 'cut' | (() => void) | { readonly skip: (head: Buffer, tail: Buffer) => void };
}

const END_BYTES = 1024;
const EMPTY = Buffer.alloc(0);

export class LineSplitter {
  readonly #options: LineSplitterOptions;
  readonly #onLine: (line: Buffer) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  #stopped = false;
  #isPaused = false;
  /** What came and was not looked at, since it is paused. */
  #rest: Buffer | undefined;
  #skipped: { readonly head: Buffer; tail: Buffer } | undefined;

  /** @param onLine gets each line without its end; empty lines too */
  constructor(options: LineSplitterOptions, onLine: (line: Buffer) => void) {
    this.#options = options;
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    if (this.#rest) {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      return;
    }
    let start = 0;
    while (!this.#stopped) {
      if (this.#isPaused) {
        this.#rest = chunk.subarray(start);
        return;
      }
      const end = chunk.indexOf(NEWLINE, start);
      if (end === -1) break;
      this.#keep(chunk.subarray(start, end));
      if (this.#stopped) return;
      this.#give();
      start = end + 1;
    }
    if (!this.#stopped && start < chunk.length) this.#keep(chunk.subarray(start));
  }

  /** No further line until `resume`, also none of the chunk under way. Whoever pushes stops as well: what comes is kept. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Gives what it has, unless it is paused again on the way. @returns whether it takes more */
  resume(): boolean {
    this.#isPaused = false;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest) this.push(rest);
    return !this.#isPaused;
  }

  /** The stream has ended: what stands behind the last newline is a line too. */
  finish(): void {
    if (!this.#stopped && (this.#bytes > 0 || this.#skipped)) this.#give();
    this.#stopped = true;
  }

  #keep(part: Buffer): void {
    if (this.#skipped) {
      this.#skipped.tail = lastOf([this.#skipped.tail, part]);
      return;
    }
    const { onTooLong, maxBytes } = this.#options;
    const room = maxBytes - this.#bytes;
    if (part.length > room && onTooLong !== 'cut') {
      if (typeof onTooLong === 'function') {
        this.#stopped = true;
        onTooLong();
      } else {
        const pieces = [...this.#parts, part];
        this.#skipped = { head: firstOf(pieces), tail: lastOf(pieces) };
      }
      this.#parts = [];
      this.#bytes = 0;
      return;
    }
    const kept = part.length > room ? part.subarray(0, room) : part;
    if (kept.length === 0) return;
    this.#parts.push(kept);
    this.#bytes += kept.length;
  }

  #give(): void {
    const skipped = this.#skipped;
    if (skipped) {
      this.#skipped = undefined;
      (this.#options.onTooLong as { skip: (head: Buffer, tail: Buffer) => void }).skip(skipped.head, skipped.tail);
      return;
    }
    const line = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    this.#onLine(line[line.length - 1] === RETURN ? line.subarray(0, -1) : line);
  }
}

/** A copy: a view would keep the whole of the chunks. */
function firstOf(pieces: readonly Buffer[]): Buffer {
  let head: Buffer = EMPTY;
  for (const piece of pieces) {
    if (head.length >= END_BYTES) break;
    head = Buffer.concat([head, piece.subarray(0, END_BYTES - head.length)]);
  }
  return head;
}

function lastOf(pieces: readonly Buffer[]): Buffer {
  let tail: Buffer = EMPTY;
  for (const piece of pieces.toReversed()) {
    if (tail.length >= END_BYTES) break;
    const room = END_BYTES - tail.length;
    tail = Buffer.concat([piece.subarray(Math.max(0, piece.length - room)), tail]);
  }
  return tail;
}
