// Server-sent events on the byte level: every legal framing in, one plain framing out. Data is never turned into a string here.

/** One event. Data may be empty: a priming event, or an id or retry of its own (never dispatched as a message). */
export interface SseEvent {
  /** The data lines joined by LF; a view on the received bytes where there was one line. */
  readonly data: Buffer;
  /** The id this event carried; undefined if it had none ('' resets the last id). */
  readonly id: string | undefined;
  /** The event type; undefined means `message`. */
  readonly event: string | undefined;
  /** Milliseconds to wait before a reconnect, if the event said so. */
  readonly retryMs: number | undefined;
}

/** An event grew beyond the limit of the scanner: the stream cannot be trusted any more. */
export class SseEventTooLarge extends Error {
  constructor(limitBytes: number) {
    super(`an event is larger than ${limitBytes} bytes`);
    this.name = 'SseEventTooLarge';
  }
}

const LF = 10;
const CR = 13;
const COLON = 58;
const SPACE = 32;
const EMPTY = Buffer.alloc(0);
const LINE_BREAK = Buffer.from('\n');
/** What one more data line costs beside its bytes: each is an object until the event is whole, also an empty one. */
const LINE_BYTES = 64;

/**
 * Splits a byte stream into events: `push` chunks, then take events with `next` until it has none. Pull instead of call-back, so
 * that a slow reader can stop between two events of one chunk.
 */
export class SseScanner {
  readonly #maxEventBytes: number;
  #chunk: Buffer = EMPTY;
  #pos = 0;
  /** Position of the next CR in the chunk, or its length: looked up once, so that a chunk without CR is scanned for it once. */
  #nextCr = -1;
  /** Pieces of a line whose end has not arrived. */
  #partial: Buffer[] = [];
  #pendingBytes = 0;
  /** The last chunk ended in CR: an LF that comes first in the next belongs to it. */
  #skipLf = false;
  #atStart = true;
  #data: Buffer[] = [];
  #id: string | undefined;
  #event: string | undefined;
  #retryMs: number | undefined;

  /** @param maxEventBytes bound of what one unfinished event may hold, 64 bytes for each line but its first included; default 16 MiB */
  constructor(maxEventBytes = 16 * 1024 * 1024) {
    this.#maxEventBytes = maxEventBytes;
  }

  /** Adds bytes; events left in the chunk before are kept. The chunk is not copied: it must not change afterwards. */
  push(chunk: Buffer): void {
    if (this.#pos < this.#chunk.length) chunk = Buffer.concat([this.#chunk.subarray(this.#pos), chunk]);
    this.#chunk = chunk;
    this.#pos = 0;
    this.#nextCr = -1;
  }

  /**
   * The next complete event, or undefined until more bytes come.
   * @throws SseEventTooLarge
   */
  next(): SseEvent | undefined {
    for (;;) {
      const line = this.#nextLine();
      if (line === undefined) return undefined;
      if (line.length > 0) this.#field(line);
      else if (this.#hasPending()) return this.#take();
      else this.#event = undefined;
    }
  }

  /**
   * At the end of the stream: what an event that lacks its blank line holds. The standard drops it; a caller may use it if its
   * data is complete in itself.
   */
  finish(): SseEvent | undefined {
    if (this.#partial.length > 0) this.#field(this.#join(EMPTY));
    return this.#hasPending() ? this.#take() : undefined;
  }

  #hasPending(): boolean {
    return this.#data.length > 0 || this.#id !== undefined || this.#retryMs !== undefined;
  }

  #take(): SseEvent {
    const lines = this.#data;
    const data = lines.length === 1 ? (lines[0] as Buffer) : joinLines(lines);
    const event = { data, id: this.#id, event: this.#event, retryMs: this.#retryMs };
    this.#data = [];
    this.#id = undefined;
    this.#event = undefined;
    this.#retryMs = undefined;
    this.#pendingBytes = 0;
    return event;
  }

  #nextLine(): Buffer | undefined {
    const chunk = this.#chunk;
    if (this.#skipLf && this.#pos < chunk.length) {
      if (chunk[this.#pos] === LF) this.#pos++;
      this.#skipLf = false;
    }
    const start = this.#pos;
    if (start >= chunk.length) return undefined;
    const end = this.#lineEnd(start);
    if (end === chunk.length) {
      this.#keep(chunk.subarray(start));
      this.#pos = chunk.length;
      return undefined;
    }
    this.#pos = end + 1;
    if (chunk[end] === CR) {
      if (this.#pos === chunk.length) this.#skipLf = true;
      else if (chunk[this.#pos] === LF) this.#pos++;
    }
    let line = chunk.subarray(start, end);
    if (this.#partial.length > 0) line = this.#join(line);
    if (this.#atStart) {
      this.#atStart = false;
      if (line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf) line = line.subarray(3);
    }
    return line;
  }

  #lineEnd(start: number): number {
    if (this.#nextCr < start) {
      const cr = this.#chunk.indexOf(CR, start);
      this.#nextCr = cr === -1 ? this.#chunk.length : cr;
    }
    const lf = this.#chunk.indexOf(LF, start);
    return lf === -1 || this.#nextCr < lf ? this.#nextCr : lf;
  }

  #keep(piece: Buffer): void {
    this.#count(piece.length);
    this.#partial.push(piece);
  }

  #join(lastPiece: Buffer): Buffer {
    const line = Buffer.concat([...this.#partial, lastPiece]);
    this.#partial = [];
    this.#pendingBytes -= line.length - lastPiece.length;
    return line;
  }

  #count(bytes: number): void {
    this.#pendingBytes += bytes;
    if (this.#pendingBytes > this.#maxEventBytes) throw new SseEventTooLarge(this.#maxEventBytes);
  }

  #field(line: Buffer): void {
    const name = fieldOf(line);
    if (name === undefined) return;
    let valueStart = Math.min(name.length + 1, line.length);
    if (line[valueStart] === SPACE) valueStart++;
    switch (name) {
      case 'data':
        this.#count(line.length - valueStart + (this.#data.length > 0 ? LINE_BYTES : 0));
        this.#data.push(line.subarray(valueStart));
        return;
      case 'id': {
        const id = line.toString('utf8', valueStart, line.length);
        if (!id.includes('\0')) this.#id = id;
        return;
      }
      case 'event':
        this.#event = line.toString('utf8', valueStart, line.length);
        return;
      case 'retry': {
        const text = line.toString('latin1', valueStart, line.length);
        if (/^\d{1,9}$/.test(text)) this.#retryMs = Number(text);
        return;
      }
    }
  }
}

const FIELDS = ['data', 'event', 'id', 'retry'] as const;

/** Byte by byte: to make a text of each name costs more than everything else here. @returns undefined for any other, and for comments */
function fieldOf(line: Buffer): (typeof FIELDS)[number] | undefined {
  for (const name of FIELDS) {
    if (line[0] !== name.charCodeAt(0)) continue;
    const { length } = name;
    if (line.length > length && line[length] !== COLON) return undefined;
    for (let index = 1; index < length; index++) if (line[index] !== name.charCodeAt(index)) return undefined;
    return name;
  }
  return undefined;
}

function joinLines(lines: readonly Buffer[]): Buffer {
  if (lines.length === 0) return EMPTY;
  const parts: Buffer[] = [];
  for (const line of lines) {
    if (parts.length > 0) parts.push(LINE_BREAK);
    parts.push(line);
  }
  return Buffer.concat(parts);
}

/** What `formatEvent` writes; everything is optional, `data: ''` is the priming event. */
export interface OutgoingEvent {
  readonly id?: string;
  readonly event?: string;
  readonly retryMs?: number;
  readonly data?: Buffer | string;
}

/**
 * Formats one event. Bytes stay bytes (one copy), text stays text. Line breaks in data become data lines of their own, so that
 * nothing in it can end the event early; id and event must hold none.
 */
export function formatEvent(event: OutgoingEvent): Buffer | string {
  let head = '';
  if (event.event !== undefined) head += `event: ${event.event}\n`;
  if (event.id !== undefined) head += `id: ${event.id}\n`;
  if (event.retryMs !== undefined) head += `retry: ${event.retryMs}\n`;
  const { data } = event;
  if (data === undefined) return `${head}\n`;
  if (typeof data === 'string') return `${head}data: ${splitLines(data)}\n\n`;
  if (data.includes(LF) || data.includes(CR)) return `${head}data: ${splitLines(data.toString('utf8'))}\n\n`;
  const headBytes = Buffer.byteLength(head);
  const bytes = Buffer.allocUnsafe(headBytes + 6 + data.length + 2);
  bytes.write(head, 0);
  bytes.write('data: ', headBytes, 'latin1');
  data.copy(bytes, headBytes + 6);
  bytes[bytes.length - 2] = LF;
  bytes[bytes.length - 1] = LF;
  return bytes;
}

function splitLines(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replace(/\r\n|\r|\n/g, '\ndata: ') : text;
}

/** A comment: keeps a stream alive, is no event. */
export const SSE_COMMENT = ':\n\n';
