// The answers to the requests of one batch, on their way together: one JSON array, or one event stream as soon as any of them has more
// to say than its response. The stream carries no event ids: what a reader that was cut off has missed is not kept (docs/streams.md).
import { GatewayError } from '../../errors/gateway-error.js';
import { errorText, type RequestId } from '../../protocol/json-rpc.js';
import { isJson, scanMessage } from '../../protocol/scan-json.js';
import { startEventStream, writeComment, writeEvent } from '../../streams/event-stream.js';
import type { Exchange, Headers } from '../../streams/exchange.js';
import type { KeptAlive } from '../../streams/keep-alive.js';
import type { AcceptedTypes } from './accept.js';
import type { CallStream } from './call-answer.js';

/** Of all that waits: for the other answers, for a slow reader, or, of bodies that are not whole yet, for their end. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from(']');

/** Beside responses, what a slow reader may have waiting. */
const MAX_UNREAD_BYTES = 1024 * 1024;

export class BatchAnswer implements KeptAlive {
  nextCommentMs = 0;
  readonly #exchange: Exchange;
  readonly #accepts: AcceptedTypes;
  readonly #headers: Headers;
  /** Requests whose answer is still to come. */
  readonly #open = new Set<BatchedStream>();
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** Of bodies that are not whole yet. */
  #collectedBytes = 0;
  #isStream = false;
  #isBlocked = false;
  #hasLeft = false;

  /** @param headers sent with the answer (the session's protocol version) */
  constructor(exchange: Exchange, accepts: AcceptedTypes, headers: Headers) {
    this.#exchange = exchange;
    this.#accepts = accepts;
    this.#headers = headers;
    exchange.onAbort(() => this.#leave());
  }

  /** See CallSink. */
  get isNearBound(): boolean {
    return this.#waitingBytes > MAX_UNREAD_BYTES / 4;
  }

  /** Nobody reads any more what is said here. */
  get isLost(): boolean {
    return this.#hasLeft;
  }

  /**
   * Its reader takes nothing, and nobody can come again for a batch: it ends, and says so of each request whose response the reader has
   * not been given. That waits for the reader as well, but it is short. The calls go on.
   */
  giveUp(): void {
    if (!this.#isStream || this.#hasLeft) return;
    const { answer } = this.#exchange;
    const error = new GatewayError('OUTCOME_UNKNOWN', {
      message: 'the stream of the batch was not read',
      details: { reason: 'slow' },
    }).toJsonRpc();
    for (const { of } of this.#waiting) if (of !== undefined) writeEvent(answer, errorText(of, error));
    for (const { id } of this.#open) writeEvent(answer, errorText(id, error));
    answer.end();
    this.#leave();
  }

  /** See CallStreamOpener. */
  collect(stream: BatchedStream, bytes: number): boolean {
    if (this.#waitingBytes + this.#collectedBytes + bytes > MAX_WAITING_BYTES) return false;
    stream.collectedBytes += bytes;
    this.#collectedBytes += bytes;
    return true;
  }

  /** As the stream of one of its requests: what is pushed there goes into the common answer. */
  streamOf(id: RequestId): BatchedStream {
    const stream = new BatchedStream(this, id);
    this.#open.add(stream);
    return stream;
  }

  /** Becomes a stream, where the caller can read one. */
  begin(): void {
    if (this.#isStream || !this.#accepts.events) return;
    this.#isStream = true;
    const { answer } = this.#exchange;
    startEventStream(answer, this.#headers);
    answer.onDrain(() => this.#unblock());
    this.#pump();
  }

  /** See KeptAlive. */
  keepAlive(): void {
    this.begin();
    if (this.#isStream && !this.#isBlocked && !this.#hasLeft) this.#isBlocked = !writeComment(this.#exchange.answer);
  }

  /** Something said during a call. @returns false when the reader takes no more for now */
  say(json: Buffer | string): boolean {
    this.begin();
    if (this.#isBlocked && this.#waitingBytes > MAX_UNREAD_BYTES) this.giveUp();
    return this.#add(json);
  }

  /** The response to a request, or an error of its own. */
  respond(stream: BatchedStream, json: Buffer | string): boolean {
    this.#close(stream);
    // One answer that is no answer must not spoil the array for all others.
    const message = scanMessage(json);
    const isUsable = message.kind === 'response' && message.id === stream.id && isJson(json);
    const isTooLarge = this.#waitingBytes + this.#collectedBytes + Buffer.byteLength(json) > MAX_WAITING_BYTES;
    if (!this.#accepts.json) this.begin();
    if (isUsable && !isTooLarge) return this.#add(json, stream.id);
    const reason = isUsable ? 'too_large' : 'bad_reply';
    const error = new GatewayError('OUTCOME_UNKNOWN', { details: { reason } });
    return this.#add(errorText(stream.id, error.toJsonRpc()), stream.id);
  }

  /** A request that its caller took back: a stream says nothing of it, an array has to hold something. */
  leaveOut(stream: BatchedStream): void {
    if (this.#isStream) this.#close(stream);
    else this.respond(stream, errorText(stream.id, new GatewayError('REQUEST_CANCELLED').toJsonRpc()));
  }

  /** @param errors for elements that are no requests, or have not begun @param isRefused nothing of the batch was taken */
  finish(errors: readonly string[], isRefused: boolean): void {
    const { answer } = this.#exchange;
    for (const error of errors) this.#add(error);
    if (this.#hasLeft) return;
    if (!this.#accepts.json && !isRefused && errors.length > 0) this.begin();
    if (this.#isStream) {
      this.#pump(true);
      answer.end();
    } else if (this.#waiting.length === 0) {
      answer.send(202, this.#headers);
    } else {
      const texts = this.#waiting.map(({ json }, index) => [
        index === 0 ? OPEN : COMMA,
        typeof json === 'string' ? Buffer.from(json) : json,
      ]);
      const body = Buffer.concat([...texts.flat(), CLOSE]);
      const headers = { ...this.#headers, 'content-type': 'application/json' };
      answer.send(isRefused ? 400 : 200, headers, body);
    }
  }

  #close(stream: BatchedStream): void {
    this.#open.delete(stream);
    this.#collectedBytes -= stream.collectedBytes;
    stream.collectedBytes = 0;
  }

  /** @param of which request it is the response to */
  #add(json: Buffer | string, of?: RequestId): boolean {
    if (this.#hasLeft) return true;
    const bytes = Buffer.byteLength(json);
    this.#waiting.push({ json, bytes, of });
    this.#waitingBytes += bytes;
    if (this.#isStream) this.#pump();
    return !this.#isBlocked;
  }

  /** @param isLast whoever reads slowly gets the rest at once: nobody would ask for it later */
  #pump(isLast = false): void {
    while (!this.#isBlocked || isLast) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#waitingBytes -= next.bytes;
      this.#isBlocked = !writeEvent(this.#exchange.answer, next.json);
    }
  }

  #leave(): void {
    this.#hasLeft = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#unblock();
  }

  #unblock(): void {
    this.#isBlocked = false;
    if (this.#isStream) this.#pump();
    if (!this.#isBlocked) for (const stream of this.#open) stream.onDrain?.();
  }
}

interface Waiting {
  readonly json: Buffer | string;
  readonly bytes: number;
  /** Which request it is the response to. */
  readonly of: RequestId | undefined;
}

/** One request's part in the common answer. */
export class BatchedStream implements CallStream {
  onDrain: (() => void) | undefined;
  readonly id: RequestId;
  /** Of its body, which is not whole yet. */
  collectedBytes = 0;
  readonly #answer: BatchAnswer;

  constructor(answer: BatchAnswer, id: RequestId) {
    this.#answer = answer;
    this.id = id;
  }

  push(json: Buffer | string, isFinal = false): boolean {
    return isFinal ? this.#answer.respond(this, json) : this.#answer.say(json);
  }

  get isNearBound(): boolean {
    return this.#answer.isNearBound;
  }

  get isLost(): boolean {
    return this.#answer.isLost;
  }

  collect(bytes: number): boolean {
    return this.#answer.collect(this, bytes);
  }

  giveUp(): void {
    this.#answer.giveUp();
  }

  /** The whole answer is kept alive, not its parts. */
  keepAlive(): void {}

  /** Cancelled. */
  finish(): void {
    this.#answer.leaveOut(this);
  }

  /** The revision that has batches knows of no stream that goes on elsewhere. */
  sendAway(): void {}
}
