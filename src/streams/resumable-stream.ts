// The one stream pump towards a client: what happens goes into a bounded ring, and one reader at a time is given what it has not got,
// as fast as it reads. A reader that leaves comes again with the last id it saw and misses nothing that the ring still holds; what the
// ring has lost is told, never passed over in silence (S100–S103).
import { formatEvent } from '../protocol/sse.js';
import type { EventBudget, Forgettable } from './event-budget.js';
import { encodeEventId, type EventId, type StreamName } from './event-id.js';
import { startEventStream, writeComment, writeRetry } from './event-stream.js';
import type { Exchange, Headers } from './exchange.js';
import type { KeptAlive } from './keep-alive.js';

/** `moved`: its session has another owner from now on, and whoever holds the stream goes on there. */
export type ReaderEnd = 'ended' | 'moved';

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

export interface ResumableStreamOptions {
  readonly session: string;
  readonly name: StreamName;
  readonly epoch: number;
  readonly budget: EventBudget;
  /** Most that is remembered, default 1 MiB; the last event always is while the stream runs. */
  readonly maxBytes?: number;
  /** Default 1 000. */
  readonly maxEvents?: number;
  /** True: its reader was sent away and will come again. False: it came, or is no longer waited for. In turn, true first. */
  readonly onAway?: (isAway: boolean) => void;
}

type Reader = NewReader & { position: number; isBlocked: boolean };

const MAX_BYTES = 1024 * 1024;
const MAX_EVENTS = 1000;
/** Well within the time for which the answer of a call is kept after its end. */
const MAX_AWAY_MS = 20_000;

/** Told where events may be missing (DESIGN: "first a notifications/message, level warning"). */
export const GAP = JSON.stringify({
  jsonrpc: '2.0',
  method: 'notifications/message',
  params: { level: 'warning', logger: 'berth', data: { gap: true } },
});

export class ResumableStream implements KeptAlive, Forgettable {
  nextCommentMs = 0;
  /** Run when the reader takes more after `push` said false, or has left. */
  onDrain: (() => void) | undefined;
  /** How far the backends are with the event that comes next, and with those after it until it changes (see BackendMarks). */
  marks = '';
  readonly #options: ResumableStreamOptions;
  readonly #events: Array<Buffer | string> = [];
  /** Those of each event in the ring. */
  readonly #marksOf: string[] = [];
  /** Those of the event before the ring. */
  #marksBefore = '';
  /** Sequence number of the first event in the ring. */
  #firstSeq = 1;
  #bytes = 0;
  #isFinished = false;
  #isForgotten = false;
  #isAwaited = false;
  #reader: Reader | undefined;

  constructor(options: ResumableStreamOptions) {
    this.#options = options;
  }

  get lastSeq(): number {
    return this.#firstSeq + this.#events.length - 1;
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** It can be resumed no more; whoever reads it still gets what comes. */
  get isForgotten(): boolean {
    return this.#isForgotten;
  }

  /** Its reader resumed it and could do so elsewhere; the POST of a call cannot, and has to get its answer from here. */
  get hasReaderThatCanMove(): boolean {
    return this.#reader?.onEnd !== undefined;
  }

  get hasReader(): boolean {
    return this.#reader !== undefined;
  }

  /** Its reader was sent away and has not come again. */
  get isAwaited(): boolean {
    return this.#isAwaited;
  }

  /** Whether an event that this memory knows follows that one. */
  hasMoreAfter(seq: number): boolean {
    return !this.#isFinished || seq < this.lastSeq;
  }

  /** Whether nothing is missing for who has got everything up to that one. */
  holdsAfter(seq: number): boolean {
    return seq + 1 >= this.#firstSeq;
  }

  /** Which event of this memory says that the backends are exactly that far; the first, if several do. Undefined: none. */
  findMarks(marks: string): number | undefined {
    if (marks === '') return undefined;
    if (marks === this.#marksBefore) return this.#firstSeq - 1;
    const index = this.#marksOf.indexOf(marks);
    return index < 0 ? undefined : this.#firstSeq + index;
  }

  /** Whether the ring holds something that no backend can be asked for once more. */
  get holdsUnmarked(): boolean {
    return this.#marksOf.some((marks, index) => marks === (index === 0 ? this.#marksBefore : this.#marksOf[index - 1]));
  }

  /** Begins anew where the backends are that far: what the ring holds comes again from them. */
  rewind(marks: string): void {
    this.clear();
    this.#marksBefore = marks;
    this.marks = marks;
  }

  attach(reader: NewReader): void {
    this.end();
    this.#setAwaited(false);
    const { exchange, headers, isPrimed, after } = reader;
    const { answer } = exchange;
    const position = Math.min(after ?? this.lastSeq, this.lastSeq);
    const current = { ...reader, position, isBlocked: false };
    this.#reader = current;
    startEventStream(answer, headers);
    answer.onDrain(() => {
      if (this.#reader !== current) return;
      current.isBlocked = false;
      this.#pump();
      if (!current.isBlocked) this.onDrain?.();
    });
    // Its first id: with it a client that drops before any event comes again to this stream (S102).
    if (isPrimed) answer.write(formatEvent({ id: this.#idOf(position), data: '' }));
    if (reader.hasGap || position + 1 < this.#firstSeq) this.#tellGap();
    exchange.onAbort(() => {
      if (this.#reader === current) this.#leave('ended');
    });
    if (this.#reader === current) this.#pump();
  }

  /**
   * One JSON-RPC message; `isFinal`: the stream ends with it.
   * @returns false when the reader takes no more for now
   */
  push(json: Buffer | string, isFinal = false): boolean {
    if (this.#isFinished) return true;
    this.#isFinished = isFinal;
    if (this.#isForgotten) this.#pass(json);
    else this.#keep(json);
    // It holds the call, and with it the request and its body: the memory of a stream that ended must not.
    if (isFinal) this.onDrain = undefined;
    return !this.#reader?.isBlocked;
  }

  /** See KeepAlive. */
  keepAlive(): void {
    const reader = this.#reader;
    if (reader && !reader.isBlocked) reader.isBlocked = !writeComment(reader.exchange.answer);
  }

  /** The clean end of the reader; what is remembered stays. */
  end(): void {
    if (!this.#reader) return;
    this.#reader.exchange.answer.end();
    this.#leave('ended');
  }

  /**
   * Ends the reader, who comes again for the rest. Nobody is sent away whose revision does not know it (it has no id to come again with),
   * or for whom there might be no room to keep what comes meanwhile.
   * @param retryMs how long the reader is to stay away; at most 20 s are asked of it
   */
  sendAway(retryMs: number): void {
    const reader = this.#reader;
    if (!reader?.isPrimed || this.#isFinished || this.#isForgotten || this.#options.budget.isHalfUsed) return;
    writeRetry(reader.exchange.answer, Math.min(retryMs, MAX_AWAY_MS));
    this.#setAwaited(true);
    this.end();
  }

  /** Leaves the reader's answer open: it goes on elsewhere, after all that waits here. */
  move(): void {
    const reader = this.#reader;
    if (!reader) return;
    while (reader.position < this.lastSeq) this.#writeNext(reader);
    reader.exchange.resumeAfter = this.#idOf(reader.position);
    this.#leave('moved');
  }

  /** Something came that nobody will get: whoever resumes from before it is told. */
  skip(): void {
    this.clear();
    this.#firstSeq++;
    this.#marksBefore = this.marks;
  }

  /**
   * From now on nothing is kept or counted: the reader first gets what it has not got, then what comes, as it comes. Whoever pushes
   * still hears that the reader is slow.
   */
  forget(): void {
    if (this.#isForgotten) return;
    const reader = this.#reader;
    while (reader && reader.position < this.lastSeq) this.#writeNext(reader);
    this.#isForgotten = true;
    this.#setAwaited(false);
    this.clear();
    this.#options.budget.noteForgotten(this);
  }

  /** Empties the memory: whoever resumes from before is told. */
  clear(): void {
    this.#firstSeq = this.lastSeq + 1;
    this.#marksBefore = this.#marksOf.at(-1) ?? this.#marksBefore;
    this.#events.length = 0;
    this.#marksOf.length = 0;
    this.#count(-this.#bytes);
  }

  #keep(json: Buffer | string): void {
    const { budget } = this.#options;
    // A view of a larger chunk would keep all of it alive.
    const kept = typeof json === 'string' || json.length * 2 > json.buffer.byteLength ? json : Buffer.from(json);
    this.#events.push(kept);
    this.#marksOf.push(this.marks);
    this.#count(kept.length + this.marks.length);
    this.#pump();
    budget.makeRoom();
    this.#trim();
    if (this.#isFinished && !this.#isForgotten) budget.noteEnded(this);
  }

  #pass(json: Buffer | string): void {
    this.#firstSeq++;
    this.#marksBefore = this.marks;
    const reader = this.#reader;
    if (!reader) return;
    this.#write(reader, this.lastSeq, json);
    if (this.#isFinished) this.end();
  }

  #pump(): void {
    const reader = this.#reader;
    if (!reader) return;
    // What ends the stream is given to the connection at once: nobody would ask for the rest later.
    while (reader.position < this.lastSeq && (!reader.isBlocked || this.#isFinished)) {
      if (reader.position + 1 < this.#firstSeq) {
        // It read too slowly: it comes again with its last id, and is told that something is missing.
        this.end();
        return;
      }
      this.#writeNext(reader);
    }
    if (this.#isFinished && reader.position === this.lastSeq) this.end();
  }

  #writeNext(reader: Reader): void {
    const seq = Math.max(reader.position + 1, this.#firstSeq);
    this.#write(reader, seq, this.#events[seq - this.#firstSeq] as Buffer | string);
  }

  #write(reader: Reader, seq: number, json: Buffer | string): void {
    reader.position = seq;
    reader.isBlocked = !reader.exchange.answer.write(formatEvent({ id: this.#idOf(seq), data: json }));
  }

  /** As an event of its own: its id says that everything before what the ring holds has been dealt with. */
  #tellGap(): void {
    const reader = this.#reader;
    if (!reader) return;
    reader.position = Math.max(reader.position, this.#firstSeq - 1);
    reader.exchange.answer.write(formatEvent({ id: this.#idOf(reader.position), data: GAP }));
  }

  #trim(): void {
    const { maxBytes = MAX_BYTES, maxEvents = MAX_EVENTS, budget } = this.#options;
    while (this.#events.length > 1 && (this.#bytes > maxBytes || this.#events.length > maxEvents || budget.isExceeded)) {
      const first = this.#events.shift() as Buffer | string;
      this.#firstSeq++;
      this.#marksBefore = this.#marksOf.shift() as string;
      this.#count(-first.length - this.#marksBefore.length);
    }
    const reader = this.#reader;
    // A reader that is blocked would notice only when it drains, perhaps never.
    if (reader && reader.position + 1 < this.#firstSeq) this.end();
  }

  #setAwaited(isAwaited: boolean): void {
    if (this.#isAwaited === isAwaited) return;
    this.#isAwaited = isAwaited;
    this.#options.onAway?.(isAwaited);
  }

  #leave(how: ReaderEnd): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.onEnd?.(how);
    // Nobody holds it up any more.
    if (reader?.isBlocked) this.onDrain?.();
  }

  #idOf(seq: number): string {
    const { session, name: stream, epoch } = this.#options;
    const isFinal = this.#isFinished && seq === this.lastSeq;
    const before = this.#firstSeq - 1;
    // Of one that has been forgotten it is not known how far it was; behind the last one nothing will be asked for.
    const marks = isFinal || seq < before ? '' : seq === before ? this.#marksBefore : (this.#marksOf[seq - before - 1] ?? '');
    return encodeEventId({ session, stream, epoch, seq, isFinal, marks } satisfies EventId);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#options.budget.add(bytes);
  }
}
