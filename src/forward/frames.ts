// The wire: an 8-byte head (length u24, type u8, stream id u32, big endian) and its payload. Only knows bytes; what a frame means
// is the connection's business. A length is judged by its type before a single byte of the payload is kept.
import { MAX_DATA_BYTES, MAX_HEAD_BYTES } from './limits.js';

export const FRAME_HEAD_BYTES = 8;

export const FRAME = {
  /** First frame each way, stream 0: JSON of version and limits. */
  HELLO: 1,
  /** Begins a request (ids ascend) or its answer: JSON, see head.ts. */
  HEAD: 2,
  /** 1 to 65 536 bytes of the body. */
  DATA: 3,
  /** The clean end of this direction; a connection that closes without it broke. */
  END: 4,
  /** One byte, a CANCEL_REASON: either side gives the stream up. */
  CANCEL: 5,
  /** u32: so many more bytes may be sent on this stream. */
  CREDIT: 6,
  /** Stream 0, one byte: 0 asks, 1 answers. */
  PING: 7,
  /** Stream 0, u32: the last request id that is served; later ones have not begun and never will. */
  GOAWAY: 8,
} as const;

export const CANCEL_REASON = {
  /** Forwarder: the caller has gone. */
  callerLeft: 1,
  /** Owner: the answer cannot be completed. */
  brokenOff: 2,
  /** Owner: not begun, and never will be (too many open requests, body over the limit or not a message). */
  refused: 3,
  /** Owner: a stream goes on at the session's next owner; everything before it was sent. To who does not know it, the hop broke. */
  moved: 4,
} as const;
export type CancelReason = (typeof CANCEL_REASON)[keyof typeof CANCEL_REASON];

/** Why bytes were not frames of ours: closes the connection, counted. */
export type FrameFault = 'frame_type' | 'frame_length' | 'frame_stream';

export interface FrameSink {
  /** A whole frame other than DATA. `payload` is only valid during the call. */
  onFrame(type: number, id: number, payload: Buffer): void;
  /** A part of a DATA payload, as it came: frames are not put together, since their borders mean nothing. */
  onData(id: number, part: Buffer): void;
}

const EMPTY = Buffer.alloc(0);

/** Least and greatest payload per type, and whether it belongs to a stream. */
const RULES: ReadonlyArray<readonly [least: number, greatest: number, ofStream: boolean] | undefined> = [
  undefined,
  [2, 1024, false],
  [2, MAX_HEAD_BYTES, true],
  [1, MAX_DATA_BYTES, true],
  [0, 0, true],
  [1, 1, true],
  [4, 4, true],
  [1, 1, false],
  [4, 4, false],
];

/** Takes bytes in any portions; copies only frame heads and payloads (other than DATA) that a portion's border cuts. */
export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #head = Buffer.alloc(FRAME_HEAD_BYTES);
  #headHave = 0;
  #type = 0;
  #id = 0;
  /** Bytes of the current payload still to come. */
  #left = 0;
  #partial: Buffer | undefined;
  #stopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** What comes later, also in the portion at hand, is dropped. */
  stop(): void {
    this.#stopped = true;
  }

  /** @returns undefined, or the fault after which nothing more may be pushed */
  push(chunk: Buffer): FrameFault | undefined {
    const size = chunk.length;
    let at = 0;
    while (at < size && !this.#stopped) {
      if (this.#left > 0) {
        at += this.#takePayload(chunk, at);
        continue;
      }
      let head = chunk;
      let from = at;
      if (this.#headHave > 0 || size - at < FRAME_HEAD_BYTES) {
        const taken = chunk.copy(this.#head, this.#headHave, at, at + FRAME_HEAD_BYTES - this.#headHave);
        at += taken;
        this.#headHave += taken;
        if (this.#headHave < FRAME_HEAD_BYTES) return undefined;
        this.#headHave = 0;
        head = this.#head;
        from = 0;
      } else {
        at += FRAME_HEAD_BYTES;
      }
      const length = head.readUIntBE(from, 3);
      this.#type = head[from + 3] as number;
      this.#id = head.readUInt32BE(from + 4);
      const rule = RULES[this.#type];
      if (!rule) return 'frame_type';
      if (length < rule[0] || length > rule[1]) return 'frame_length';
      if (rule[2] !== this.#id > 0) return 'frame_stream';
      if (length === 0) this.#sink.onFrame(this.#type, this.#id, EMPTY);
      else if (this.#type !== FRAME.DATA && size - at >= length) {
        const payload = chunk.subarray(at, at + length);
        at += length;
        this.#sink.onFrame(this.#type, this.#id, payload);
      } else {
        this.#left = length;
        this.#partial = this.#type === FRAME.DATA ? undefined : Buffer.allocUnsafe(length);
      }
    }
    return undefined;
  }

  #takePayload(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#left, chunk.length - at);
    this.#left -= taken;
    const partial = this.#partial;
    if (!partial) {
      this.#sink.onData(this.#id, taken === chunk.length ? chunk : chunk.subarray(at, at + taken));
      return taken;
    }
    chunk.copy(partial, partial.length - this.#left - taken, at, at + taken);
    if (this.#left === 0) {
      this.#partial = undefined;
      this.#sink.onFrame(this.#type, this.#id, partial);
    }
    return taken;
  }
}

/** Writes a frame head at `at`; the caller has made room. */
export function writeFrameHead(into: Buffer, at: number, type: number, id: number, length: number): void {
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = id >>> 24;
  into[at + 5] = id >>> 16;
  into[at + 6] = id >>> 8;
  into[at + 7] = id;
}

const SLAB_BYTES = 16 * 1024;

/**
 * A part that is kept for longer must not keep the whole read buffer alive that it was cut from: one small event would hold 64 KiB,
 * and a slow reader's queue of them a thousand times its credit.
 */
export function detachSmall(part: Buffer): Buffer {
  const slab = part.buffer.byteLength;
  return slab >= SLAB_BYTES && part.length * 8 < slab ? Buffer.from(part) : part;
}
