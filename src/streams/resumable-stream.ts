// The one stream pump towards a client: what happens goes into a bounded ring, and one reader at a time is given what it has not got,
// as fast as it reads. A reader that leaves comes again with the last id it saw and misses nothing that the ring still holds; what the
// ring has lost is told, never passed over in silence. A reader that takes nothing for too long, or falls behind the ring, is
// ended in order: it holds up neither the call nor our memory.
import type { EventBudget, Forgettable } from './event-budget.js';
import { encodeEventId, type EventId } from './event-id.js';
import { EventRing } from './event-ring.js';
import { startEventStream, writeComment, writeRetry } from './event-stream.js';
import type { KeptAlive } from './keep-alive.js';
import type { ReaderEnd, Stallable } from './readers.js';
import { type NewReader, type ReadStream, StreamReader } from './stream-reader.js';

export interface ResumableStreamOptions extends ReadStream {
  readonly epoch: number;
  readonly budget: EventBudget;
  /** Most that is remembered, default 1 MiB; the last event always is while the stream runs. */
  readonly maxBytes?: number;
  /** Default 1 000. */
  readonly maxEvents?: number;
  /** True: its reader was sent away and will come again. False: it came, or is no longer waited for. In turn, true first. */
  readonly onAway?: (isAway: boolean) => void;
}

const MAX_BYTES = 1024 * 1024;
const MAX_EVENTS = 1000;
/** Well within the time for which the answer of a call is kept after its end. */
const MAX_AWAY_MS = 20_000;

/** What a reader may have waiting before others should wait for it, as a part of what the ring holds at most. */
const NEAR_BOUND = 1 / 4;

export class ResumableStream extends EventRing implements KeptAlive, Forgettable, Stallable {
  nextCommentMs = 0;
  /** Run when the reader takes more after `push` said false, or has left. */
  onDrain: (() => void) | undefined;
  readonly #options: ResumableStreamOptions;
  #isFinished = false;
  #isForgotten = false;
  #isAwaited = false;
  #reader: StreamReader | undefined;

  constructor(options: ResumableStreamOptions) {
    super(options.budget);
    this.#options = options;
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
    return this.#reader?.canMove === true;
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

  /** So much waits for a slow reader that it may be ended soon: whoever pushes should let it read first, if he can. */
  get isNearBound(): boolean {
    const reader = this.#reader;
    if (!reader?.isBlocked) return false;
    const { maxBytes = MAX_BYTES, maxEvents = MAX_EVENTS } = this.#options;
    return reader.waitingBytes > maxBytes * NEAR_BOUND || this.lastSeq - reader.position > maxEvents * NEAR_BOUND;
  }

  attach(reader: NewReader): void {
    this.end('replaced');
    this.#setAwaited(false);
    const { exchange, headers, isPrimed, after } = reader;
    const { answer } = exchange;
    const position = Math.min(after ?? this.lastSeq, this.lastSeq);
    const current = new StreamReader(this, this.#options, reader, position, this.bytesAfter(position));
    this.#reader = current;
    startEventStream(answer, headers);
    answer.onDrain(() => {
      if (this.#reader !== current) return;
      current.noteTakes(true);
      if (this.#isForgotten) current.waitingBytes = 0;
      this.#pump();
      if (!current.isBlocked) this.onDrain?.();
    });
    // Its first id: with it a client that drops before any event comes again to this stream. Race: one that drops right behind an id of this
    // memory would never hear of a gap before it, so there the gap itself brings the id.
    if (isPrimed && !reader.hasGap) current.writeId(this.#idOf(position));
    if (reader.hasGap || !this.holdsAfter(position)) this.#tellGap();
    exchange.onAbort(() => {
      if (this.#reader === current) this.#leave('left');
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

  /** Ends without another message: its reader gets what waits, and whoever resumes it after that is told that nothing more comes. */
  finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.onDrain = undefined;
    if (this.#isForgotten) this.end();
    else this.#pump();
    if (!this.#isForgotten) this.#options.budget.noteEnded(this);
  }

  /** See KeepAlive. */
  keepAlive(): void {
    const reader = this.#reader;
    if (reader && !reader.isBlocked) reader.noteTakes(writeComment(reader.exchange.answer));
  }

  /** The clean end of the reader; what is remembered stays. */
  end(how: ReaderEnd = 'ended'): void {
    if (!this.#reader) return;
    this.#reader.exchange.answer.end();
    this.#leave(how);
  }

  /** See Stallable. The stream goes on without its reader, which comes again with its last id. */
  giveUp(): void {
    this.end('slow');
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
    this.end('away');
  }

  /** Leaves the reader's answer open: it goes on elsewhere, after all that waits here. */
  move(): void {
    const reader = this.#reader;
    if (!reader) return;
    while (reader.position < this.lastSeq) this.#writeNext(reader);
    reader.exchange.resumeAfter = this.#idOf(reader.position);
    this.#leave('moved');
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
    if (reader) reader.waitingBytes = 0;
    if (this.#isFinished) this.end('complete');
  }

  /** See Forgettable. */
  makeRoom(): void {
    // Written to a reader that takes nothing, it would stay in memory where nobody counts it.
    if (this.#reader?.isBlocked) this.end('slow');
    this.forget();
  }

  #keep(json: Buffer | string): void {
    const { budget } = this.#options;
    const bytes = this.append(json);
    if (this.#reader) this.#reader.waitingBytes += bytes;
    this.#pump();
    budget.makeRoom();
    this.#trim();
    if (this.#isFinished && !this.#isForgotten) budget.noteEnded(this);
  }

  #pass(json: Buffer | string): void {
    this.pass();
    const reader = this.#reader;
    if (!reader) return;
    if (reader.isBlocked) reader.waitingBytes += Buffer.byteLength(json);
    if (reader.waitingBytes > (this.#options.maxBytes ?? MAX_BYTES)) {
      // Nobody can make whoever pushes wait, and nothing is kept: it comes again and is told that the outcome is unknown.
      this.end('slow');
      return;
    }
    reader.write(this.lastSeq, this.#idOf(this.lastSeq), json);
    if (this.#isFinished) this.end('complete');
  }

  #pump(): void {
    const reader = this.#reader;
    if (!reader) return;
    while (reader.position < this.lastSeq && !reader.isBlocked) {
      if (!this.holdsAfter(reader.position)) {
        // It read too slowly: it comes again with its last id, and is told that something is missing.
        this.end('slow');
        return;
      }
      this.#writeNext(reader);
    }
    if (this.#isFinished && reader.position === this.lastSeq) this.end('complete');
  }

  #writeNext(reader: StreamReader): void {
    const seq = Math.max(reader.position + 1, this.firstSeq);
    reader.waitingBytes -= this.bytesAt(seq);
    reader.write(seq, this.#idOf(seq), this.eventAt(seq));
  }

  /** As an event of its own: its id says that everything before what the ring holds has been dealt with. */
  #tellGap(): void {
    const reader = this.#reader;
    if (!reader) return;
    reader.position = Math.max(reader.position, this.firstSeq - 1);
    reader.tellGap(this.#idOf(reader.position));
  }

  #trim(): void {
    const { maxBytes = MAX_BYTES, maxEvents = MAX_EVENTS, budget } = this.#options;
    // Nothing follows the end: what its reader has yet to take is as much as it will ever be.
    const unread = this.#isFinished && this.#reader ? this.#reader.position + 1 : Number.POSITIVE_INFINITY;
    const isOver = () => budget.isExceeded || (this.firstSeq < unread && this.exceeds(maxBytes, maxEvents));
    while (isOver() && this.dropFirst());
    const reader = this.#reader;
    // A reader that is blocked would notice only when it drains, perhaps never.
    if (reader && !this.holdsAfter(reader.position)) this.end('slow');
  }

  #setAwaited(isAwaited: boolean): void {
    if (this.#isAwaited === isAwaited) return;
    this.#isAwaited = isAwaited;
    this.#options.onAway?.(isAwaited);
  }

  #leave(how: ReaderEnd): void {
    const reader = this.#reader;
    if (!reader) return;
    this.#reader = undefined;
    reader.left(how);
    // Nobody holds it up any more.
    if (reader.isBlocked) this.onDrain?.();
  }

  #idOf(seq: number): string {
    const { session, name: stream, epoch } = this.#options;
    const isFinal = this.#isFinished && seq === this.lastSeq;
    // Of one that has been forgotten it is not known how far it was; behind the last one nothing will be asked for.
    const marks = isFinal ? '' : this.marksAt(seq);
    return encodeEventId({ session, stream, epoch, seq, isFinal, marks } satisfies EventId);
  }
}
