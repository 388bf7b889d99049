// Writes log lines to a file descriptor in the background, a few whole lines at a time, and what is left when the process exits.
//
// Our own, because sonic-boom (pino's) tries for ever to flush at exit, whatever the error: where stdout had gone away, as a closed
// terminal does, no process of the gateway could end any more.
import { write, writeSync } from 'node:fs';

/**
 * Bytes of one write, at most. Primary and workers share one stdout: up to 4096 bytes (PIPE_BUF) the kernel writes to a pipe in one
 * piece, and a write holds whole lines only, so lines of two processes never mix.
 */
const MAX_WRITE_BYTES = 4096;
/**
 * One small write for each turn of a busy event loop is too slow for a loaded worker: from so many waiting bytes on, writes are longer.
 * The kernel still takes one in one piece as long as the pipe has room for it; only where its reader lags as well may lines mix.
 */
const BACKLOG_BYTES = 16 * 1024;
const MAX_BACKLOG_WRITE_BYTES = 64 * 1024;
const MAX_TAKEN_LINES = 1024;
/** Lines wait so long for others, ms. */
const GATHER_MS = 10;
/** Bytes that wait for a reader who has stopped reading; beyond them lines are dropped rather than memory filled. */
const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
/** A full pipe that does not block is tried again after, ms. */
const RETRY_MS = 20;
/** How long a process that exits waits for a slow reader, ms. */
const EXIT_PATIENCE_MS = 1000;

export class LineWriter {
  readonly #fd: number;
  #lines: string[] = [];
  /** Of `#lines`, the first that was not taken yet. */
  #next = 0;
  #bufferedBytes = 0;
  #dropped = 0;
  #isWriting = false;
  #isWaiting = false;
  /** What the last write has left over; of it, nobody knows how much went out while a write is under way. */
  #rest: Buffer | undefined;
  #isBroken = false;

  constructor(fd: number) {
    this.#fd = fd;
    process.once('exit', () => this.flushSync());
  }

  /** @param line with its line break */
  write(line: string): void {
    if (this.#isBroken) return;
    if (this.#bufferedBytes > MAX_BUFFERED_BYTES) {
      this.#dropped += 1;
      return;
    }
    this.#lines.push(line);
    this.#bufferedBytes += line.length;
    if (this.#isWriting || this.#isWaiting) return;
    // A write of its own for every line would cost a loaded worker a tenth of its time.
    this.#isWaiting = true;
    setTimeout(() => {
      this.#isWaiting = false;
      if (!this.#isWriting) this.#writeNext();
    }, GATHER_MS).unref();
  }

  /** At exit, when no callback runs any more. Gives up on a reader that does not read, never throws. */
  flushSync(): void {
    const deadlineMs = performance.now() + EXIT_PATIENCE_MS;
    // A write under way is finished by the thread that has it.
    let chunk = this.#isWriting ? this.#take() : (this.#rest ?? this.#take());
    while (chunk && !this.#isBroken) {
      try {
        const written = writeSync(this.#fd, chunk);
        chunk = written < chunk.length ? chunk.subarray(written) : this.#take();
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadlineMs) return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
  }

  #writeNext(): void {
    const chunk = this.#rest ?? this.#take();
    if (!chunk) return;
    this.#isWriting = true;
    write(this.#fd, chunk, 0, chunk.length, null, (error, written) => {
      this.#isWriting = false;
      if (!error) {
        this.#rest = written < chunk.length ? chunk.subarray(written) : undefined;
        this.#writeNext();
        return;
      }
      if (isGone(error)) return this.#giveUp();
      // Of a full disk the lines are lost, but it may be emptied.
      this.#rest = isBusy(error) ? chunk : undefined;
      setTimeout(() => this.#isWriting || this.#writeNext(), RETRY_MS).unref();
    });
  }

  /** Whole lines up to the size of one write, or one that is longer. */
  #take(): Buffer | undefined {
    this.#tellDropped();
    const first = this.#lines[this.#next];
    if (first === undefined) return undefined;
    const maxBytes = this.#bufferedBytes > BACKLOG_BYTES ? MAX_BACKLOG_WRITE_BYTES : MAX_WRITE_BYTES;
    let text = first;
    let bytes = Buffer.byteLength(first);
    let end = this.#next + 1;
    for (; end < this.#lines.length; end += 1) {
      const line = this.#lines[end] as string;
      bytes += Buffer.byteLength(line);
      if (bytes > maxBytes) break;
      text += line;
    }
    this.#next = end;
    // Moved to the front now and then, not with every write: a long backlog would be copied each time.
    if (this.#next === this.#lines.length || this.#next > MAX_TAKEN_LINES) {
      this.#lines = this.#lines.slice(this.#next);
      this.#next = 0;
    }
    this.#bufferedBytes -= text.length;
    return Buffer.from(text);
  }

  #tellDropped(): void {
    if (this.#dropped === 0 || this.#lines.length > this.#next) return;
    const line = {
      level: 'warn',
      time: new Date().toISOString(),
      dropped: this.#dropped,
      msg: 'log lines were dropped: too slow a reader',
    };
    this.#dropped = 0;
    const text = `${JSON.stringify(line)}\n`;
    this.#lines.push(text);
    this.#bufferedBytes += text.length;
  }

  #giveUp(): void {
    this.#isBroken = true;
    this.#lines = [];
    this.#next = 0;
    this.#bufferedBytes = 0;
    this.#rest = undefined;
  }
}

/** A closed pipe, a terminal that is no more: nobody will ever read there. */
function isGone(error: unknown): boolean {
  return ['EPIPE', 'EIO', 'EBADF', 'ENXIO', 'ECONNRESET'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** The descriptor does not block, and its pipe is full. */
function isBusy(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EAGAIN' || code === 'EBUSY';
}
