// The rest of an answer whose owner was lost: an edge that has passed on a part of it asks for what is missing as its client would, by a GET
// with the last id, and writes it to the same answer. The body of the request stays behind: nothing here can send it again.
import { isSessionId, referenceOf, type SessionId, type SessionRef } from '../protocol/ids.js';
import { SESSION_HEADER } from '../protocol/mcp.js';
import { decodeEventId } from '../streams/event-id.js';
import { type Exchange, requestIdOf } from '../streams/exchange.js';
import { PartOfExchange } from '../streams/part-of-exchange.js';

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

export class RestExchange extends PartOfExchange {
  readonly method = 'GET';
  readonly body = undefined;
  readonly hop = undefined;
  readonly isReattached = true;
  readonly awaits: Exchange['awaits'];
  readonly note: Exchange['note'];
  resumeAfter: Exchange['resumeAfter'];
  readonly #session: SessionRef;

  /** @param exchange a request whose answer has begun as a stream */
  constructor(exchange: Exchange, session: SessionRef) {
    super(exchange);
    this.#session = session;
    this.awaits = requestIdOf(exchange);
    this.note = exchange.note;
    this.resumeAfter = exchange.resumeAfter;
  }

  /** What ends the answer has been passed on: only the end of the stream is missing. */
  get isWhole(): boolean {
    return this.resumeAfter !== undefined && decodeEventId(this.resumeAfter, this.#session)?.isFinal === true;
  }
}
