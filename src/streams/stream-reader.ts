// Who reads a stream: how far it is, what waits for it, and whether it takes more.
import { formatEvent } from '../protocol/sse.js';
import type { StreamName } from './event-id.js';
import type { Exchange, Headers } from './exchange.js';
import type { ReaderEnd, ReaderFacts, Readers, Stallable } from './readers.js';

/** Told where events may be missing (docs/streams.md). */
export const GAP = JSON.stringify({
  jsonrpc: '2.0',
  method: 'notifications/message',
  params: { level: 'warning', logger: 'berth', data: { gap: true } },
});

/** Who reads from now on; the one before ends cleanly (newest wins). */
export interface NewReader {
  readonly exchange: Exchange;
  readonly headers: Headers;
  /** Whether its revision (2025-11-25) knows empty events that only carry an id. */
  readonly isPrimed: boolean;
  /** It has got everything up to this sequence number; undefined: it wants what comes from now on. */
  readonly after?: number;
  /** Something may be missing that this memory never held. */
  readonly hasGap?: boolean;
  /** Once, when it reads no more, for whatever reason. */
  readonly onEnd?: (how: ReaderEnd) => void;
}

/** Which stream it reads. */
export interface ReadStream {
  readonly session: string;
  readonly name: StreamName;
  /** Hear of its coming and going, and give it up when it stalls; default nobody does. */
  readonly readers?: Readers;
}

export class StreamReader {
  readonly exchange: Exchange;
  readonly isPrimed: boolean;
  /** It has been given everything up to this sequence number. */
  position: number;
  /** Bytes that it has not got: of the ring, or, once the stream is forgotten, written while it took nothing. */
  waitingBytes: number;
  readonly #facts: ReaderFacts;
  readonly #onEnd: ((how: ReaderEnd) => void) | undefined;
  readonly #readers: Readers | undefined;
  readonly #stream: Stallable;
  readonly #openedMs: number;
  #isBlocked = false;

  /**
   * @param stream is given up when its reader stalls
   * @param position it has got everything up to that one
   * @param waitingBytes that it has not got
   */
  constructor(stream: Stallable, of: ReadStream, request: NewReader, position: number, waitingBytes: number) {
    this.#stream = stream;
    this.exchange = request.exchange;
    this.isPrimed = request.isPrimed;
    this.position = position;
    this.waitingBytes = waitingBytes;
    this.#onEnd = request.onEnd;
    this.#readers = of.readers;
    this.#facts = { session: of.session, name: of.name, isGet: request.onEnd !== undefined };
    this.#openedMs = of.readers?.opened(this.#facts) ?? 0;
  }

  /** It takes nothing for now. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** It resumed the stream by a GET, and could do so elsewhere; the POST of a call cannot. */
  get canMove(): boolean {
    return this.#onEnd !== undefined;
  }

  /** The event of that number, in turn. */
  write(seq: number, id: string, json: Buffer | string): void {
    this.position = seq;
    this.noteTakes(this.exchange.answer.write(formatEvent({ id, data: json })));
    // One that came while nobody read is told to whoever comes, or to nobody.
    if (json === GAP) this.#readers?.gap(this.#facts);
  }

  /** No event of the stream: only the id of the one before. */
  writeId(id: string): void {
    this.exchange.answer.write(formatEvent({ id, data: '' }));
  }

  /** No event of the stream, under the id of the one before: it has lost events that this reader has not got. */
  tellGap(id: string): void {
    this.exchange.answer.write(formatEvent({ id, data: GAP }));
    this.#readers?.gap(this.#facts);
  }

  noteTakes(takes: boolean): void {
    if (this.#isBlocked === !takes) return;
    this.#isBlocked = !takes;
    if (takes) this.#readers?.noteReads(this.#stream);
    else this.#readers?.noteBlocked(this.#stream);
  }

  /** It reads no more: whoever wants to know is told. */
  left(how: ReaderEnd): void {
    if (this.#isBlocked) this.#readers?.noteReads(this.#stream);
    this.#readers?.ended(this.#facts, how, this.#openedMs);
    this.#onEnd?.(how);
  }
}
