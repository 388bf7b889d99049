// The streams of one session in its owner's memory: the standalone one and those of calls, also for a while after they ended.
import type { RequestId } from '../protocol/json-rpc.js';
import { type BackendMark, BackendMarks } from '../streams/backend-marks.js';
import { EventBudget } from '../streams/event-budget.js';
import type { Readers } from '../streams/readers.js';
import { ResumableStream, type ResumableStreamOptions } from '../streams/resumable-stream.js';
import { GAP } from '../streams/stream-reader.js';

/** A client tries a broken stream again within seconds; this is what it may take with all its back-off. */
const KEEP_MS = 60_000;
/** Streams of calls kept per session; of more, those that began first are forgotten, but none whose reader was sent away. */
const MAX_CALLS = 64;

export interface SessionStreamsOptions {
  /** Reference of the session. */
  readonly session: string;
  /** Of this memory (see mintMemoryEpoch). */
  readonly epoch: number;
  readonly budget?: EventBudget;
  /** See ResumableStreamOptions; of any call. */
  readonly onAway?: (isAway: boolean) => void;
  /** See ResumableStreamOptions. */
  readonly readers?: Readers | undefined;
}

interface CallStream {
  readonly stream: ResumableStream;
  /** Monotonic, when it was first seen to have ended. */
  endedMs: number | undefined;
  /** See `openCall`. */
  readonly giveUp: (() => void) | undefined;
}

export class SessionStreams {
  readonly #options: Pick<ResumableStreamOptions, 'session' | 'epoch' | 'budget' | 'readers' | 'onAway'>;
  // Made when a call streams for the first time: most sessions never do.
  #calls: Map<RequestId, CallStream> | undefined;
  readonly standalone: ResumableStream;
  /** How far each backend is in the standalone stream. */
  readonly #marks = new BackendMarks();
  /** Monotonic, when it last had a reader; undefined: it never had one. */
  #listenedMs: number | undefined;

  constructor({ session, epoch, budget = new EventBudget(), readers, onAway }: SessionStreamsOptions) {
    this.#options = { session, epoch, budget, ...(readers && { readers }), ...(onAway && { onAway }) };
    this.standalone = new ResumableStream({ ...this.#options, name: { kind: 'standalone' } });
  }

  /** What is told outside any call: to the reader, or kept for one that has just left. */
  tell(json: Buffer | string, nowMs: number): void {
    const { standalone } = this;
    if (standalone.hasReader) this.#listenedMs = nowMs;
    if (this.#listenedMs !== undefined && nowMs - this.#listenedMs <= KEEP_MS) standalone.push(json);
    else standalone.skip();
  }

  /** See BackendSessionHost.onEventId; `generation` of the backend session. */
  mark(backend: string, generation: number, eventId: string | undefined): void {
    this.#marks.set(backend, generation, eventId);
    this.standalone.marks = this.#marks.text;
  }

  /** Something may be missing from here on. */
  tellGap(nowMs: number): void {
    this.tell(GAP, nowMs);
  }

  /** Where backends have said that they offer no stream outside calls: each says so once. */
  get silent(): BackendMark[] {
    return this.#marks.silent;
  }

  /** The standalone stream begins anew where the backends were once. */
  rewind(marks: Iterable<BackendMark>): void {
    this.#marks.replace([...marks]);
    this.standalone.rewind(this.#marks.text);
  }

  /** The standalone stream's reader has left. */
  noteLeft(nowMs: number): void {
    this.#listenedMs = nowMs;
  }

  /** See SessionStreamsOptions. */
  get epoch(): number {
    return this.#options.epoch;
  }

  /**
   * The stream that carries the answer of this request from now on.
   * @param marks how far its backend is, as an id carries it; default unknown
   * @param giveUp of the rest of a call that an earlier owner began: ends the reading of it, as another call has its id from now on
   */
  openCall(id: RequestId, marks = '', giveUp?: () => void): ResumableStream {
    const stream = new ResumableStream({ ...this.#options, name: { kind: 'call', id } });
    if (marks !== '') stream.rewind(marks);
    // Race: the session closed while the request was on its way; its caller still gets an answer, but nobody will resume it.
    if (this.standalone.isForgotten) {
      stream.forget();
      return stream;
    }
    this.#calls ??= new Map();
    const before = this.#calls.get(id);
    this.#drop(id);
    if (before && !before.stream.isFinished) before.giveUp?.();
    for (const [oldest, { stream: kept, giveUp: isRest }] of this.#calls) {
      if (this.#calls.size < MAX_CALLS) break;
      // A rest that is being read would be read on for nobody: there are fewer of them than there is room.
      if (!kept.isAwaited && (!isRest || kept.isFinished)) this.#drop(oldest);
    }
    // No room: this one can be neither resumed nor sent away.
    if (this.#calls.size >= MAX_CALLS) stream.forget();
    else this.#calls.set(id, { stream, endedMs: undefined, giveUp });
    return stream;
  }

  /** Undefined: unknown, or forgotten. */
  findCall(id: RequestId): ResumableStream | undefined {
    const stream = this.#calls?.get(id)?.stream;
    return stream?.isForgotten ? undefined : stream;
  }

  /** Whether the call that has this id here began here, or ended here within the last minute. */
  hasOwnCall(id: RequestId): boolean {
    const call = this.#calls?.get(id);
    return call !== undefined && !call.giveUp;
  }

  /** Lets go what nobody has come back for; called again and again, at least twice a minute. @param nowMs monotonic */
  age(nowMs: number): void {
    const { standalone } = this;
    if (standalone.hasReader) this.#listenedMs = nowMs;
    else if (this.#listenedMs !== undefined && nowMs - this.#listenedMs > KEEP_MS) standalone.clear();
    for (const [id, call] of this.#calls ?? []) {
      if (!call.stream.isFinished && !call.stream.isForgotten) continue;
      call.endedMs ??= nowMs;
      if (call.stream.isForgotten || nowMs - call.endedMs >= KEEP_MS) this.#drop(id);
    }
  }

  /** The session ends here or goes elsewhere. A request that still runs is answered from here. */
  close(how: 'ended' | 'moved'): void {
    const { standalone } = this;
    if (how === 'moved') standalone.move();
    else standalone.end();
    standalone.forget();
    for (const { stream } of this.#calls?.values() ?? []) {
      if (how === 'moved' && stream.hasReaderThatCanMove) stream.move();
      stream.forget();
    }
    this.#calls = undefined;
  }

  #drop(id: RequestId): void {
    // One that has no end yet goes on without its memory.
    this.#calls?.get(id)?.stream.forget();
    this.#calls?.delete(id);
  }
}
