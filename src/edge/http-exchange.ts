// An exchange and its answer over one node:http request: the public edge's side of the one execution path.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer, Exchange, ExchangeNote, Headers, Hop, Principal, RequestBody } from '../streams/exchange.js';
import type { BodyPlace } from './body-room.js';
import { newNote } from '../streams/exchange.js';

/**
 * A body up to this goes to node as latin1 text, one character for each byte, and comes out as the same bytes: text is joined to the head
 * and leaves in one plain write. A Buffer beside a head of text makes node gather both (`writev`), for 5 us more a request.
 */
const ONE_WRITE_BYTES = 16 * 1024;

export class HttpAnswer implements Answer {
  readonly #response: ServerResponse;
  readonly #extra: () => Headers | undefined;
  #startedAsEvents = false;

  /** @param extra headers of the edge itself (CORS, `connection: close`), asked when the answer begins: a drain may have begun */
  constructor(response: ServerResponse, extra: () => Headers | undefined) {
    this.#response = response;
    this.#extra = extra;
  }

  get started(): boolean {
    return this.#response.headersSent;
  }

  get startedAsEvents(): boolean {
    return this.#startedAsEvents;
  }

  get finished(): boolean {
    return this.#response.writableEnded || this.#response.destroyed;
  }

  send(status: number, headers: Headers, body?: Buffer | string): void {
    const response = this.#response;
    if (response.headersSent || this.finished) return;
    const all: Record<string, string> = Object.assign({}, headers, this.#extra());
    // Without a length node would send chunks: more bytes, more writes.
    if (status !== 204) all['content-length'] = String(body === undefined ? 0 : Buffer.byteLength(body));
    response.writeHead(status, all);
    if (typeof body === 'object' && body.length <= ONE_WRITE_BYTES) response.end(body.toString('latin1'), 'latin1');
    else response.end(body);
  }

  start(status: number, headers: Headers): void {
    const response = this.#response;
    if (response.headersSent || this.finished) return;
    this.#startedAsEvents = headers['content-type'] === 'text/event-stream';
    const extra = this.#extra();
    response.writeHead(status, extra ? { ...headers, ...extra } : (headers as Record<string, string>));
    // A stream may be silent for long: its reader must know at once that it is open.
    if (this.#startedAsEvents) response.flushHeaders();
  }

  write(chunk: Buffer | string): boolean {
    return this.finished ? true : this.#response.write(chunk);
  }

  end(): void {
    if (!this.finished) this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }

  onDrain(listener: () => void): void {
    this.#response.removeAllListeners('drain');
    this.#response.on('drain', listener);
  }
}

export interface HttpExchangeFacts {
  readonly method: Exchange['method'];
  readonly serverId: string;
  readonly headers: Headers;
  readonly body: RequestBody | undefined;
  readonly principal: Principal;
  readonly startedMs: number;
  readonly deadlineMs: number;
}

export class HttpExchange implements Exchange {
  readonly method: Exchange['method'];
  readonly serverId: string;
  readonly headers: Headers;
  readonly body: RequestBody | undefined;
  readonly principal: Principal;
  readonly startedMs: number;
  readonly deadlineMs: number;
  readonly hop: Hop | undefined = undefined;
  readonly answer: HttpAnswer;
  readonly note: ExchangeNote;
  readonly #response: ServerResponse;
  readonly #abortListeners: Array<() => void> = [];
  #abandoned = false;

  constructor(facts: HttpExchangeFacts, response: ServerResponse, answer: HttpAnswer) {
    this.method = facts.method;
    this.serverId = facts.serverId;
    this.headers = facts.headers;
    this.body = facts.body;
    this.principal = facts.principal;
    this.startedMs = facts.startedMs;
    this.deadlineMs = facts.deadlineMs;
    this.answer = answer;
    this.#response = response;
    this.note = newNote(facts.method, facts.body);
  }

  get isReattached(): boolean {
    return this.answer.started;
  }

  get aborted(): boolean {
    return this.#abandoned || (this.#response.destroyed && !this.#response.writableFinished);
  }

  onAbort(listener: () => void): void {
    if (this.aborted) {
      listener();
      return;
    }
    this.#abortListeners.push(listener);
    if (this.#abortListeners.length > 1) return;
    this.#response.once('close', () => {
      if (!this.#response.writableFinished) this.#tellAborted();
    });
  }

  /** Ends the answer cleanly from our side and lets everybody behind it go: how a drain ends streams whose owner is elsewhere. */
  abandon(): void {
    if (this.#abandoned) return;
    this.answer.end();
    this.#abandoned = true;
    this.#tellAborted();
  }

  #tellAborted(): void {
    for (const listener of this.#abortListeners.splice(0)) listener();
  }
}

/**
 * The whole body, at most `limitBytes`; undefined when it is larger (the rest is not read).
 * Rejects when the caller leaves, and when there is no room for more of it in `place`.
 */
export function readBody(
  request: IncomingMessage,
  limitBytes: number,
  place: BodyPlace | undefined,
): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let rest: Buffer[] | undefined;
    let total = 0;
    request.on('data', (chunk: Buffer) => {
      total += chunk.length;
      if (total > limitBytes) {
        request.pause();
        request.removeAllListeners('data');
        resolve(undefined);
        return;
      }
      if (place && !fits(place, total, reject)) {
        request.pause();
        request.removeAllListeners('data');
        return;
      }
      // Nearly every request comes in one chunk: no array, no copy.
      if (!first) first = chunk;
      else if (rest) rest.push(chunk);
      else rest = [first, chunk];
    });
    request.on('end', () => resolve(rest ? Buffer.concat(rest, total) : (first ?? Buffer.alloc(0))));
    request.on('error', reject);
    request.on('close', () => {
      if (!request.complete) reject(new Error('the caller left before its body was whole'));
    });
  });
}

function fits(place: BodyPlace, totalBytes: number, reject: (error: unknown) => void): boolean {
  try {
    place.cover(totalBytes);
    return true;
  } catch (error) {
    reject(error);
    return false;
  }
}
