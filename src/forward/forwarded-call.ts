// One request on its way to the owner and its answer on the way back to the caller, with back-pressure both ways.
// Decides the outcome, once: what has certainly not begun, what may have.
import { isSessionId, referenceOf, type SessionRef } from '../protocol/ids.js';
import { REFUSED_FOR_NOW, REFUSED_HEADER, SESSION_HEADER } from '../protocol/mcp.js';
import type { Exchange, Hop } from '../streams/exchange.js';
import { LastEventId } from '../streams/last-event-id.js';
import { UnansweredIds } from '../streams/unanswered-ids.js';
import type { HopConnection } from './connection.js';
import { type ForwardOutcome, SESSION_ENDED } from './forward.js';
import { CANCEL_REASON, detachSmall } from './frames.js';
import {
  type AnswerHead,
  encodeRequestHead,
  isHeadTooLong,
  parseAnswerHead,
  parseRefusedToken,
  withoutInternal,
} from './head.js';
import { MAX_DATA_BYTES } from './limits.js';
import type { HopStream, StreamLoss, StreamReceiver } from './stream.js';

const LF = 0x0a;

export class ForwardedCall implements StreamReceiver {
  readonly #exchange: Exchange;
  readonly #resolve: (outcome: ForwardOutcome) => void;
  #stream: HopStream | undefined;
  /** Once somebody has asked. */
  #session: SessionRef | '' | undefined;
  #head: AnswerHead | undefined;
  /** `whole`: small enough to be passed on in one piece; `refused`: a 421 of our own, which the caller never sees. */
  #mode: 'none' | 'whole' | 'stream' | 'refused' = 'none';
  /** Parts that wait: of a whole answer for the rest, of a streamed one for a slow caller. */
  #parts: Buffer[] = [];
  #bodyBytes = 0;
  /** Written to a caller who then said that it reads slowly; its credit stays back until it drains. */
  #withheldBytes = 0;
  #stalled = false;
  /** What was passed on so far ends where an event ends. */
  #atBoundary = true;
  #endsInLf = true;
  /** Of a stream that another owner could go on with. */
  #lastId: LastEventId | undefined;
  #ended = false;
  #done = false;

  constructor(exchange: Exchange, resolve: (outcome: ForwardOutcome) => void) {
    this.#exchange = exchange;
    this.#resolve = resolve;
    exchange.onAbort(() => this.#abort());
  }

  /** The caller has left, or the outcome is known. */
  get isDone(): boolean {
    return this.#done;
  }

  refuse(reason: string): void {
    this.#finish({ kind: 'notBegun', reason });
  }

  /** Hands the request to the connection, which takes requests. */
  begin(connection: HopConnection, hop: Hop, nowMs: number): void {
    if (this.#done) return;
    const { body } = this.#exchange;
    const head = encodeRequestHead(this.#exchange, hop, nowMs);
    const excess = excessOf(connection, head, body?.bytes.length ?? 0);
    if (excess) {
      this.refuse(excess);
      return;
    }
    const stream = connection.open(this);
    this.#stream = stream;
    stream.sendHead(head);
    if (body) stream.write(body.bytes);
    stream.end(true);
  }

  /** Costs a hash the first time: for what is rare. */
  isOf(session: SessionRef): boolean {
    if (this.#session === undefined) {
      const id = this.#exchange.headers[SESSION_HEADER];
      // Kept: where many sessions are ended one by one, each of them is looked for among all open hops.
      this.#session = id !== undefined && isSessionId(id) ? referenceOf(id) : '';
    }
    return this.#session === session;
  }

  /** Nothing more is awaited of the owner. What it begins when it wakes is its own affair: the request is out of our hands. */
  cut(): void {
    const stream = this.#stream;
    if (stream) this.#lose(true, SESSION_ENDED);
    else this.refuse(SESSION_ENDED);
    stream?.cancel(CANCEL_REASON.callerLeft);
  }

  onHead(payload: Buffer): string | undefined {
    const head = this.#head ? undefined : parseAnswerHead(payload);
    if (!head) return 'answer_head';
    this.#head = head;
    const { status, wholeBytes } = head;
    if (status === 421 && REFUSED_HEADER in head.headers) {
      this.#mode = 'refused';
    } else if (wholeBytes !== undefined && wholeBytes <= MAX_DATA_BYTES) {
      this.#mode = 'whole';
    } else {
      this.#mode = 'stream';
      const headers = withoutInternal(head.headers);
      if (wholeBytes !== undefined) headers['content-length'] = String(wholeBytes);
      const { body } = this.#exchange;
      if (headers['content-type'] === 'text/event-stream') {
        this.#lastId = new LastEventId();
        if (body?.kind === 'batch') this.#exchange.unanswered = new UnansweredIds(body.ids);
      }
      this.#exchange.answer.onDrain(() => this.#onDrain());
      this.#exchange.answer.start(status, headers);
    }
    return undefined;
  }

  onData(part: Buffer): string | undefined {
    const size = part.length;
    this.#bodyBytes += size;
    const whole = this.#head?.wholeBytes;
    if (whole !== undefined && this.#bodyBytes > whole) return 'answer_length';
    switch (this.#mode) {
      case 'none':
        return 'answer_head';
      case 'refused':
        this.#stream?.giveBack(size);
        return undefined;
      case 'whole':
        this.#parts.push(part);
        this.#stream?.giveBack(size);
        return undefined;
      case 'stream':
        if (this.#stalled) this.#parts.push(detachSmall(part));
        else this.#pass(detachSmall(part));
        return undefined;
    }
  }

  onEnd(): string | undefined {
    const head = this.#head;
    if (!head || (head.wholeBytes !== undefined && head.wholeBytes !== this.#bodyBytes)) {
      // The stream is closed already: what the connection does with the fault cannot reach this call any more.
      this.#finish({ kind: 'broken', reason: 'answer_length' });
      return 'answer_length';
    }
    if (this.#mode === 'refused') {
      const refused = head.headers[REFUSED_HEADER] as string;
      if (refused === REFUSED_FOR_NOW) this.#finish({ kind: 'notBegun', reason: 'lease_away' });
      else this.#finish({ kind: 'notOwner', token: parseRefusedToken(refused) });
    } else if (this.#mode === 'whole') {
      const parts = this.#parts;
      const body = parts.length > 1 ? Buffer.concat(parts) : parts[0] && detachSmall(parts[0]);
      // A stream that was attached again, and whose session has ended: its client asks anew and is told then.
      if (this.#exchange.answer.started) this.#endStarted();
      else this.#exchange.answer.send(head.status, withoutInternal(head.headers), body);
      this.#finish({ kind: 'answered', status: head.status });
    } else {
      this.#ended = true;
      if (!this.#stalled) this.#complete();
    }
    return undefined;
  }

  onLoss(loss: StreamLoss, reason: string): void {
    // Race: the connection may be lost while the request still waits in this tick's outbox, or for credit. An owner begins nothing
    // before it has END, so what we still hold has not begun.
    this.#lose(loss !== 'unserved' && this.#stream?.isHandedOver !== false, reason);
  }

  #lose(begun: boolean, reason: string): void {
    if (this.#done) return;
    // Also to a caller that reads slowly: it came before what is told now.
    const isWhole = this.#mode !== 'stream' || this.#passRest();
    if (!isWhole && this.#exchange.method === 'GET' && this.#exchange.awaits === undefined) {
      // Cut in the middle of an event: nothing may follow it. The clean end makes the client drop it and come again.
      this.#complete();
      return;
    }
    if (!isWhole && this.#lastId) this.#closePart();
    this.#finish(begun ? { kind: 'broken', reason } : { kind: 'notBegun', reason });
  }

  /** A stream of which nothing follows; who waits for an answer is still given one. */
  #endStarted(): void {
    if (this.#exchange.awaits === undefined) this.#exchange.answer.end();
  }

  /**
   * An event that was passed on in part becomes one of a type that nobody listens for, so that it is not taken for a whole one and what
   * comes next is not taken for its end; with the id of the one before it (of two ids in an event the last counts), since a client that
   * leaves now would else come again from behind the event that it has not got.
   */
  #closePart(): void {
    if (this.#atBoundary) return;
    const last = this.#exchange.resumeAfter;
    const id = last === undefined ? '' : `id: ${last}\n`;
    this.#exchange.answer.write(`${this.#endsInLf ? '' : '\n'}${id}event: cut\n\n`);
    this.#atBoundary = true;
  }

  /** @returns whether it ends where an event ends, so that another owner can go on */
  #passRest(): boolean {
    for (const part of this.#parts) this.#pass(part);
    return this.#atBoundary;
  }

  #pass(part: Buffer): void {
    if (this.#lastId) {
      this.#lastId.push(part);
      if (this.#lastId.value !== undefined) this.#exchange.resumeAfter = this.#lastId.value;
    }
    this.#exchange.unanswered?.push(part);
    const wasInLf = this.#endsInLf;
    this.#endsInLf = part.at(-1) === LF;
    this.#atBoundary = this.#endsInLf && (part.length > 1 ? part.at(-2) === LF : wasInLf);
    if (this.#exchange.answer.write(part)) {
      this.#stream?.giveBack(part.length);
    } else {
      this.#stalled = true;
      this.#withheldBytes += part.length;
    }
  }

  #onDrain(): void {
    if (this.#done || !this.#stalled) return;
    this.#stalled = false;
    this.#stream?.giveBack(this.#withheldBytes);
    this.#withheldBytes = 0;
    const waiting = this.#parts;
    let next = 0;
    while (next < waiting.length && !this.#stalled) {
      this.#pass(waiting[next] as Buffer);
      next += 1;
    }
    this.#parts = waiting.slice(next);
    if (this.#ended && !this.#stalled) this.#complete();
  }

  #complete(): void {
    this.#exchange.answer.end();
    this.#finish({ kind: 'answered', status: this.#head?.status ?? 0 });
  }

  #abort(): void {
    if (this.#done) return;
    this.#stream?.cancel(CANCEL_REASON.callerLeft);
    this.#finish({ kind: 'answered', status: this.#head?.status ?? 0 });
  }

  #finish(outcome: ForwardOutcome): void {
    if (this.#done) return;
    this.#done = true;
    this.#parts = [];
    this.#resolve(outcome);
  }
}

/** Why the peer would refuse this request, known without asking it. */
function excessOf(connection: HopConnection, head: string, bodyBytes: number): string | undefined {
  const { peer } = connection;
  if (!peer || connection.openStreams >= peer.streams) return 'busy';
  if (bodyBytes > peer.bodyBytes) return 'body_limit';
  return isHeadTooLong(head) ? 'head_limit' : undefined;
}
