// The exchange as the owner's side of the hop makes it: the same shape that the public edge makes, with an answer of frames.
import type { Answer, Exchange, ExchangeNote, Headers, RequestBody } from '../streams/exchange.js';
import { newNote } from '../streams/exchange.js';
import { CANCEL_REASON } from './frames.js';
import { encodeAnswerHead, isHeadTooLong, type RequestHead } from './head.js';
import type { HopStream } from './stream.js';

/** Calls in the wrong order, twice or after the caller left do nothing: whoever answers races with whoever aborts. */
export class HopAnswer implements Answer {
  readonly #stream: HopStream;
  #state: 'open' | 'started' | 'finished' = 'open';
  #started = false;

  constructor(stream: HopStream) {
    this.#stream = stream;
  }

  get started(): boolean {
    return this.#started;
  }

  get finished(): boolean {
    return this.#state === 'finished';
  }

  send(status: number, headers: Headers, body?: Buffer | string): void {
    if (this.#state !== 'open') return;
    const bytes = body === undefined ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    if (!this.#sendHead(encodeAnswerHead(status, headers, bytes))) return;
    this.#state = 'finished';
    if (body !== undefined) this.#stream.write(body);
    this.#stream.end();
  }

  start(status: number, headers: Headers): void {
    if (this.#state !== 'open') return;
    if (this.#sendHead(encodeAnswerHead(status, headers, undefined))) this.#state = 'started';
  }

  write(chunk: Buffer | string): boolean {
    return this.#state !== 'started' || this.#stream.write(chunk);
  }

  end(): void {
    if (this.#state !== 'started') return;
    this.#state = 'finished';
    this.#stream.end();
  }

  moved(): void {
    if (this.#state !== 'started') return;
    this.#state = 'finished';
    this.#stream.move();
  }

  destroy(): void {
    if (this.#state === 'finished') return;
    this.#state = 'finished';
    this.#stream.cancel(CANCEL_REASON.brokenOff);
  }

  onDrain(listener: () => void): void {
    this.#stream.onDrain(listener);
  }

  /** The caller is gone: nothing more leaves. @returns false if the answer was complete before */
  abandon(): boolean {
    if (this.#state === 'finished') return false;
    this.#state = 'finished';
    return true;
  }

  #sendHead(json: string): boolean {
    // A head that the peer would have to refuse costs this answer, not the connection and everybody on it.
    if (isHeadTooLong(json)) {
      this.destroy();
      return false;
    }
    this.#started = true;
    this.#stream.sendHead(json);
    return true;
  }
}

export class HopExchange implements Exchange {
  readonly method: Exchange['method'];
  readonly serverId: string;
  readonly headers: Headers;
  readonly body: RequestBody | undefined;
  readonly principal: Exchange['principal'];
  readonly deadlineMs: number;
  readonly isReattached: boolean;
  readonly hop: Exchange['hop'];
  readonly answer: HopAnswer;
  readonly startedMs: number;
  readonly note: ExchangeNote;
  #aborted = false;
  #abortListeners: Array<() => void> | undefined;

  /** @param arrivedMs when HEAD came: the deadline counts from there, not from the end of a long body */
  constructor(head: RequestHead, body: RequestBody | undefined, stream: HopStream, arrivedMs: number) {
    this.method = head.method;
    this.serverId = head.serverId;
    this.headers = head.headers;
    this.body = body;
    this.principal = head.principal;
    this.deadlineMs = arrivedMs + head.leftMs;
    this.isReattached = head.isReattached;
    this.hop = head.hop;
    this.answer = new HopAnswer(stream);
    this.startedMs = arrivedMs;
    this.note = newNote(head.method, body);
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  onAbort(listener: () => void): void {
    if (this.#aborted) listener();
    else if (!this.answer.finished) {
      this.#abortListeners ??= [];
      this.#abortListeners.push(listener);
    }
  }

  /** The forwarder cancelled, or its connection was lost. */
  abort(): void {
    if (this.#aborted || !this.answer.abandon()) return;
    this.#aborted = true;
    const listeners = this.#abortListeners ?? [];
    this.#abortListeners = undefined;
    for (const listener of listeners) listener();
  }
}
