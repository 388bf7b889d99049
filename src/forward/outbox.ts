// Frames of one tick leave in one write: small ones are laid side by side in an arena, large bodies go by reference between them.
import type { Socket } from 'node:net';
import { FRAME, FRAME_HEAD_BYTES, writeFrameHead } from './frames.js';
import { MAX_DATA_BYTES } from './limits.js';

const ARENA_BYTES = 32 * 1024;
/** From here on a further vector of the write costs less than the copy. */
const BY_REFERENCE_BYTES = 8 * 1024;

export class Outbox {
  readonly #socket: Socket;
  #arena = Buffer.allocUnsafeSlow(ARENA_BYTES);
  #start = 0;
  #at = 0;
  #parts: Buffer[] = [];
  #scheduled = false;
  #ended = false;
  /** How many times the socket took what was handed to it: tells whether a frame has left this process's hands. */
  flushes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  text(type: number, id: number, text: string): void {
    // Three bytes for a UTF-16 unit is the most that UTF-8 needs.
    this.#makeRoom(FRAME_HEAD_BYTES + text.length * 3);
    const length = this.#arena.write(text, this.#at + FRAME_HEAD_BYTES);
    writeFrameHead(this.#arena, this.#at, type, id, length);
    this.#at += FRAME_HEAD_BYTES + length;
  }

  empty(type: number, id: number): void {
    this.#makeRoom(FRAME_HEAD_BYTES);
    writeFrameHead(this.#arena, this.#at, type, id, 0);
    this.#at += FRAME_HEAD_BYTES;
  }

  byte(type: number, id: number, value: number): void {
    this.#makeRoom(FRAME_HEAD_BYTES + 1);
    writeFrameHead(this.#arena, this.#at, type, id, 1);
    this.#arena[this.#at + FRAME_HEAD_BYTES] = value;
    this.#at += FRAME_HEAD_BYTES + 1;
  }

  uint32(type: number, id: number, value: number): void {
    this.#makeRoom(FRAME_HEAD_BYTES + 4);
    writeFrameHead(this.#arena, this.#at, type, id, 4);
    this.#arena.writeUInt32BE(value, this.#at + FRAME_HEAD_BYTES);
    this.#at += FRAME_HEAD_BYTES + 4;
  }

  /** DATA frames for bytes `from` to `to` of the chunk, which must not be changed any more. */
  data(id: number, chunk: Buffer, from: number, to: number): void {
    for (let at = from; at < to; at += MAX_DATA_BYTES) {
      const end = Math.min(to, at + MAX_DATA_BYTES);
      const length = end - at;
      const copied = length < BY_REFERENCE_BYTES;
      this.#makeRoom(FRAME_HEAD_BYTES + (copied ? length : 0));
      writeFrameHead(this.#arena, this.#at, FRAME.DATA, id, length);
      this.#at += FRAME_HEAD_BYTES;
      if (copied) {
        chunk.copy(this.#arena, this.#at, at, end);
        this.#at += length;
      } else {
        this.#seal();
        this.#parts.push(chunk.subarray(at, end));
      }
    }
  }

  /** The kernel's buffer and ours are full: the peer does not read. */
  get isBacked(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** Hands over what was collected. Runs by itself at the end of the tick. */
  flush = (): void => {
    this.#scheduled = false;
    this.#seal();
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.#parts = [];
    // Nothing is handed over any more: what waits here has certainly not begun.
    if (this.#ended || !this.#socket.writable) return;
    // Nothing is under way: the kernel is asked at once, and says at once if it takes nothing.
    const isIdle = this.#socket.writableLength === 0;
    if (parts.length === 1) {
      this.#socket.write(parts[0] as Buffer);
    } else {
      this.#socket.cork();
      for (const part of parts) this.#socket.write(part);
      this.#socket.uncork();
    }
    // Race: the peer died, and we have not read the end of its connection yet. A write that was refused whole has reached nobody.
    if (isIdle && this.#socket.errored) return;
    this.flushes += 1;
  };

  /** Hands over what was collected and then the end of this direction. */
  end(): void {
    this.flush();
    this.#ended = true;
    this.#socket.end();
  }

  #makeRoom(bytes: number): void {
    if (!this.#scheduled) {
      this.#scheduled = true;
      // Not a microtask: all sockets that became readable in this turn of the loop share one write.
      setImmediate(this.flush);
    }
    if (this.#at + bytes <= this.#arena.length) return;
    this.#seal();
    // The old arena is not used again: the socket may still hold parts of it.
    this.#arena = Buffer.allocUnsafeSlow(Math.max(ARENA_BYTES, bytes));
    this.#start = 0;
    this.#at = 0;
  }

  #seal(): void {
    if (this.#at === this.#start) return;
    this.#parts.push(this.#arena.subarray(this.#start, this.#at));
    this.#start = this.#at;
  }
}
