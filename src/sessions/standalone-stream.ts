// The standalone GET stream of a session: what backends tell outside any call. Newest wins. Bounded: a reader that takes nothing
// loses the stream (and comes again), never the worker its memory.
import type { Exchange, Headers } from '../streams/exchange.js';
import type { KeptAlive } from '../streams/keep-alive.js';
import { startEventStream, writeComment, writeEvent } from '../streams/event-stream.js';

/** Notifications kept for a reader that pauses. */
const MAX_PENDING_BYTES = 1024 * 1024;

/** `moved`: its session has another owner from now on, and whoever holds the stream goes on there. */
export type StreamEnd = 'ended' | 'moved';

export class StandaloneStream implements KeptAlive {
  nextCommentMs = 0;
  readonly #exchange: Exchange;
  #pending: Array<Buffer | string> = [];
  #pendingBytes = 0;
  #blocked = false;
  #ended = false;
  #onEnd: ((how: StreamEnd) => void) | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** Begins it. @param onEnd runs once, when the stream ended for whatever reason (at once if its reader has left already) */
  open(headers: Headers, onEnd: (how: StreamEnd) => void): void {
    this.#onEnd = onEnd;
    startEventStream(this.#exchange.answer, headers);
    this.#exchange.answer.onDrain(() => this.#drain());
    this.#exchange.onAbort(() => this.#finish('ended'));
  }

  /** One JSON-RPC message. */
  push(json: Buffer | string): void {
    if (this.#ended) return;
    if (!this.#blocked) {
      this.#blocked = !writeEvent(this.#exchange.answer, json);
      return;
    }
    this.#pending.push(json);
    this.#pendingBytes += json.length;
    if (this.#pendingBytes > MAX_PENDING_BYTES) this.end();
  }

  /** See KeepAlive. */
  keepAlive(): void {
    if (!this.#ended && !this.#blocked) this.#blocked = !writeComment(this.#exchange.answer);
  }

  /** The clean end: the client may come again. */
  end(): void {
    if (this.#ended) return;
    this.#exchange.answer.end();
    this.#finish('ended');
  }

  /** Leaves the answer open: it goes on elsewhere, after what waits here for a slow reader. */
  move(): void {
    if (this.#ended) return;
    for (const json of this.#pending) writeEvent(this.#exchange.answer, json);
    this.#finish('moved');
  }

  #drain(): void {
    this.#blocked = false;
    while (!this.#blocked && this.#pending.length > 0) {
      const json = this.#pending.shift() as Buffer | string;
      this.#pendingBytes -= json.length;
      this.#blocked = !writeEvent(this.#exchange.answer, json);
    }
  }

  #finish(how: StreamEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pending = [];
    this.#onEnd?.(how);
  }
}
