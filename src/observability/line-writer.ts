// Writes log lines to a file descriptor in the background, a few whole lines at a time, and what is left when the process exits.
//
// Our own, because sonic-boom (pino's) tries for ever to flush at exit, whatever the error: where stdout had gone away, as a closed
// terminal does, no process of the gateway could end any more.
import { closeSync, constants, fstatSync, openSync, write, writeSync } from 'node:fs';

/**
 * Bytes of one write, at most. Primary and workers share one stdout, whose reader may lag: up to 4096 bytes (PIPE_BUF) the kernel writes
 * to a full pipe in one piece or not at all, and a write holds whole lines only, so lines of two processes never mix.
 */
const MAX_PIPE_WRITE_BYTES = 4096;
/** The same for everything else: Linux splits what is written to a Unix socket into pieces of 32 KiB and a page. A file has no limit. */
const MAX_WRITE_BYTES = 32 * 1024;
/** Of a pipe, one turn of the event loop writes no more than it can hold when it is empty. */
const MAX_TURN_BYTES = 64 * 1024;
const MAX_TAKEN_LINES = 1024;
/** Lines wait so long for others, ms. A write costs as much as a dozen lines: one for each of 200 requests a second is felt. */
const GATHER_MS = 50;
/** Bytes that wait for a reader who has stopped reading; beyond them lines are dropped rather than memory filled. */
const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
/** A full pipe that does not block is tried again after, ms. */
const RETRY_MS = 20;
/** How long a process that exits waits for a reader who takes nothing, ms. */
const EXIT_PATIENCE_MS = 1000;

export class LineWriter {
  readonly #fd: number;
  /** A pipe is written to at once, without blocking: small writes through a thread are too slow for a loaded worker. */
  readonly #isNonBlocking: boolean;
  readonly #maxWriteBytes: number;
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
    const pipe = openPipe(fd);
    this.#fd = pipe?.fd ?? fd;
    this.#isNonBlocking = pipe?.fd !== undefined;
    this.#maxWriteBytes = pipe ? MAX_PIPE_WRITE_BYTES : MAX_WRITE_BYTES;
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
    this.#wait(GATHER_MS);
  }

  /** At exit, when no callback runs any more. Gives up on a reader that does not read, never throws. */
  flushSync(): void {
    let deadlineMs = performance.now() + EXIT_PATIENCE_MS;
    // A write under way is finished by the thread that has it.
    let chunk = this.#isWriting ? this.#take() : (this.#rest ?? this.#take());
    while (chunk && !this.#isBroken) {
      try {
        const written = writeSync(this.#fd, chunk);
        deadlineMs = performance.now() + EXIT_PATIENCE_MS;
        chunk = written < chunk.length ? chunk.subarray(written) : this.#take();
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadlineMs) return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
  }

  #writeNext(): void {
    if (this.#isNonBlocking) {
      this.#writeTurn();
      return;
    }
    const chunk = this.#rest ?? this.#take();
    if (!chunk) return;
    this.#isWriting = true;
    write(this.#fd, chunk, 0, chunk.length, null, (error, written) => {
      this.#isWriting = false;
      if (error) {
        this.#failed(error, chunk);
        return;
      }
      this.#rest = written < chunk.length ? chunk.subarray(written) : undefined;
      // What came while this was written is a few lines: as at first, they wait for others.
      if (this.#rest || this.#bufferedBytes >= this.#maxWriteBytes) this.#writeNext();
      else if (this.#bufferedBytes > 0 || this.#dropped > 0) this.#wait(GATHER_MS);
    });
  }

  /** What the pipe takes now; what it does not take, later. */
  #writeTurn(): void {
    let bytes = 0;
    while (bytes < MAX_TURN_BYTES) {
      const chunk = this.#rest ?? this.#take();
      if (!chunk) return;
      try {
        const written = writeSync(this.#fd, chunk);
        bytes += written;
        this.#rest = written < chunk.length ? chunk.subarray(written) : undefined;
      } catch (error) {
        this.#failed(error, chunk);
        return;
      }
    }
    this.#wait(0);
  }

  #failed(error: unknown, chunk: Buffer): void {
    if (isGone(error)) {
      this.#giveUp();
      return;
    }
    // Of a full disk the lines are lost, but it may be emptied.
    this.#rest = isBusy(error) ? chunk : undefined;
    this.#wait(RETRY_MS);
  }

  #wait(ms: number): void {
    this.#isWaiting = true;
    setTimeout(() => {
      this.#isWaiting = false;
      if (!this.#isWriting) this.#writeNext();
    }, ms).unref();
  }

  /** Whole lines up to the size of one write, or one that is longer. */
  #take(): Buffer | undefined {
    this.#tellDropped();
    const first = this.#lines[this.#next];
    if (first === undefined) return undefined;
    let text = first;
    let bytes = Buffer.byteLength(first);
    let end = this.#next + 1;
    for (; end < this.#lines.length; end += 1) {
      const line = this.#lines[end] as string;
      bytes += Buffer.byteLength(line);
      if (bytes > this.#maxWriteBytes) break;
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

/**
 * Whether `fd` is a pipe, and if so one of our own to the same pipe that does not block: to make `fd` itself so would do it to everybody
 * who shares it. None where the system has no /proc or forbids it; then `fd` is used, a small write for each turn.
 */
function openPipe(fd: number): { fd?: number } | undefined {
  try {
    if (!fstatSync(fd).isFIFO()) return undefined;
  } catch {
    return undefined;
  }
  try {
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    if (fstatSync(own).isFIFO()) return { fd: own };
    closeSync(own);
  } catch {}
  return {};
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
