// The rest of an answer whose owner was lost: an edge that has passed on a part of it asks for what is missing as its client would, by a GET
// with the last id, and writes it to the same answer. The body of the request stays behind: nothing here can send it again.
import { isSessionId, referenceOf, type SessionId, type SessionRef } from '../protocol/ids.js';
import { SESSION_HEADER } from '../protocol/mcp.js';
import { decodeEventId } from '../streams/event-id.js';
import { type Exchange, requestIdOf } from '../streams/exchange.js';

/**
 * Whether the caller has an id from which an owner can tell what is missing. One that no owner could read (that of a request whose own id is
 * very long) would be taken for the wish to hear the standalone stream.
 */
export function mayHaveRest({ body, headers, resumeAfter, answer }: Exchange): boolean {
  const id = headers[SESSION_HEADER];
  if (resumeAfter === undefined || body?.kind !== 'request' || body.message.method === 'initialize') return false;
  if (id === undefined || !isSessionId(id)) return false;
  const stream = decodeEventId(resumeAfter, referenceOf(id))?.stream;
  return stream?.kind === 'call' && stream.id === body.message.id && answer.startedAsEvents === true && !answer.finished;
}

/** What ends the answer has been passed on: only the end of the stream is missing. */
export function lacksOnlyItsEnd(exchange: Exchange): boolean {
  const id = exchange.headers[SESSION_HEADER];
  return mayHaveRest(exchange) && new RestExchange(exchange, referenceOf(id as SessionId)).isWhole;
}

export class RestExchange implements Exchange {
  readonly method = 'GET';
  readonly body = undefined;
  readonly hop = undefined;
  readonly isReattached = true;
  readonly serverId: string;
  readonly headers: Exchange['headers'];
  readonly principal: Exchange['principal'];
  readonly deadlineMs: number;
  readonly awaits: Exchange['awaits'];
  readonly answer: Exchange['answer'];
  readonly startedMs: number;
  readonly note: Exchange['note'];
  resumeAfter: Exchange['resumeAfter'];
  readonly #exchange: Exchange;
  readonly #session: SessionRef;

  /** @param exchange a request whose answer has begun as a stream */
  constructor(exchange: Exchange, session: SessionRef) {
    this.#exchange = exchange;
    this.#session = session;
    this.serverId = exchange.serverId;
    this.headers = exchange.headers;
    this.principal = exchange.principal;
    this.deadlineMs = exchange.deadlineMs;
    this.awaits = requestIdOf(exchange);
    this.answer = exchange.answer;
    this.startedMs = exchange.startedMs;
    this.note = exchange.note;
    this.resumeAfter = exchange.resumeAfter;
  }

  /** What ends the answer has been passed on: only the end of the stream is missing. */
  get isWhole(): boolean {
    return this.resumeAfter !== undefined && decodeEventId(this.resumeAfter, this.#session)?.isFinal === true;
  }

  get aborted(): boolean {
    return this.#exchange.aborted;
  }

  onAbort(listener: () => void): void {
    this.#exchange.onAbort(listener);
  }
}
