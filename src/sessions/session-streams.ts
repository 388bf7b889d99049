// The streams of one session in its owner's memory: the standalone one and those of calls, also for a while after they ended.
import type { RequestId } from '../protocol/json-rpc.js';
import { EventBudget } from '../streams/event-budget.js';
import { ResumableStream } from '../streams/resumable-stream.js';

/** A client tries a broken stream again within seconds; this is what it may take with all its back-off. */
const KEEP_MS = 60_000;
/** Streams of calls kept per session; of more, those that began first are forgotten. */
const MAX_CALLS = 64;

export interface SessionStreamsOptions {
  /** Reference of the session. */
  readonly session: string;
  /** In which this memory begins. */
  readonly epoch: number;
  readonly budget?: EventBudget;
}

interface CallStream {
  readonly stream: ResumableStream;
  endedMs: number | undefined;
}

export class SessionStreams {
  readonly #options: SessionStreamsOptions & { readonly budget: EventBudget };
  // Made when a call streams for the first time: most sessions never do.
  #calls: Map<RequestId, CallStream> | undefined;
  readonly standalone: ResumableStream;
  /** Monotonic, when it last had a reader; undefined: it never had one. */
  #listenedMs: number | undefined;

  constructor(options: SessionStreamsOptions) {
    this.#options = { ...options, budget: options.budget ?? new EventBudget() };
    this.standalone = new ResumableStream({ ...this.#options, name: { kind: 'standalone' } });
  }

  /** What is told outside any call: to the reader, or kept for one that has just left. */
  tell(json: Buffer | string, nowMs: number): void {
    const { standalone } = this;
    if (standalone.hasReader) this.#listenedMs = nowMs;
    if (this.#listenedMs !== undefined && nowMs - this.#listenedMs <= KEEP_MS) standalone.push(json);
    else standalone.skip();
  }

  /** The standalone stream's reader has left. */
  noteLeft(nowMs: number): void {
    this.#listenedMs = nowMs;
  }

  /** See SessionStreamsOptions. */
  get epoch(): number {
    return this.#options.epoch;
  }

  /** The stream that carries the answer of this request from now on. */
  openCall(id: RequestId, nowMs: number): ResumableStream {
    this.#forgetOld(nowMs);
    this.#drop(id);
    const stream = new ResumableStream({ ...this.#options, name: { kind: 'call', id } });
    this.#calls ??= new Map();
    this.#calls.set(id, { stream, endedMs: undefined });
    return stream;
  }

  endCall(id: RequestId, stream: ResumableStream, nowMs: number): void {
    const call = this.#calls?.get(id);
    if (call?.stream === stream) call.endedMs = nowMs;
  }

  findCall(id: RequestId): ResumableStream | undefined {
    return this.#calls?.get(id)?.stream;
  }

  /** The session ends here or goes elsewhere. */
  close(how: 'ended' | 'moved'): void {
    const all = [this.standalone, ...[...(this.#calls?.values() ?? [])].map(({ stream }) => stream)];
    for (const stream of all) {
      if (how === 'moved') stream.move();
      else stream.end();
      stream.clear();
    }
    this.#calls = undefined;
  }

  #forgetOld(nowMs: number): void {
    const calls = this.#calls;
    if (!calls) return;
    for (const [id, { endedMs }] of calls) {
      if (calls.size >= MAX_CALLS || (endedMs !== undefined && nowMs - endedMs > KEEP_MS)) this.#drop(id);
    }
  }

  #drop(id: RequestId): void {
    // One that has no end yet goes on without its memory.
    this.#calls?.get(id)?.stream.clear();
    this.#calls?.delete(id);
  }
}
