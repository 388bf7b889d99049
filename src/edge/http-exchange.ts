// An exchange and its answer over one node:http request: the public edge's side of the one execution path.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer, Exchange, ExchangeNote, Headers, Hop, Principal, RequestBody } from '../streams/exchange.js';
import type { BodyPlace } from './body-room.js';
import { newNote } from '../streams/exchange.js';

/**
 * A body up to this goes to node as latin1 text, one character for each byte, and comes out as the same bytes: text is joined to the head
 * and leaves in one plain write. A Buffer beside a head of text makes node gather both (`writev`), for a sixth more CPU a request on Node 20.
 */
const ONE_WRITE_BYTES = 16 * 1024;

/** The end of a chunked body without trailers (RFC 9112 7.1). */
const LAST_CHUNK = '0\r\n\r\n';

export class HttpAnswer implements Answer {
  readonly #response: ServerResponse;
  readonly #extra: () => Headers | undefined;
  #startedAsEvents = false;
  /** The chunks of the transfer encoding are framed here. */
  #isFraming = false;
  #hasWritten = false;

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
    const bytes = body === undefined ? 0 : Buffer.byteLength(body);
    const part = body && countable(body, bytes);
    // Without a length node would send chunks: more bytes, more writes.
    if (status !== 204) all['content-length'] = String(bytes);
    response.writeHead(status, all);
    const { socket } = response;
    // No socket yet: a pipelined request whose turn has not come.
    if (!socket || part === undefined || bytes > ONE_WRITE_BYTES) {
      response.end(part);
      return;
    }
    // `end` with a body hands the socket a second, empty piece, and two pieces are gathered by `writev`.
    socket.cork();
    if (typeof part === 'string') response.write(part);
    else response.write(part.toString('latin1'), 'latin1');
    socket.uncork();
    response.end();
  }

  /** As `send`, but the connection stays until the returned end: node closes it with the answer, and would cut what the client still sends. */
  sendEarly(status: number, headers: Headers, body: string): () => void {
    const response = this.#response;
    if (!response.headersSent && !this.finished) {
      const length = { 'content-length': String(Buffer.byteLength(body)), connection: 'close' };
      response.writeHead(status, Object.assign({}, headers, this.#extra(), length));
      response.write(body);
    }
    return () => void response.end();
  }

  start(status: number, headers: Headers): void {
    const response = this.#response;
    if (response.headersSent || this.finished) return;
    this.#startedAsEvents = headers['content-type'] === 'text/event-stream';
    const extra = this.#extra();
    response.writeHead(status, extra ? { ...headers, ...extra } : (headers as Record<string, string>));
    if (!this.#startedAsEvents) return;
    if (response.chunkedEncoding) {
      this.#isFraming = true;
      response.chunkedEncoding = false;
    }
    // Nearly always something is written at once, and the head leaves with it; if not, its reader must know all the same that it is open.
    process.nextTick(() => {
      if (!this.#hasWritten && !this.finished) response.flushHeaders();
    });
  }

  write(chunk: Buffer | string): boolean {
    if (this.finished) return true;
    this.#hasWritten = true;
    const response = this.#response;
    const bytes = Buffer.byteLength(chunk);
    const part = countable(chunk, bytes);
    if (!this.#isFraming) return response.write(part);
    if (bytes === 0) return !response.writableNeedDrain;
    const size = `${bytes.toString(16)}\r\n`;
    // Node writes length, line end, chunk and line end in four pieces, gathered by `writev`: twice the cost of one text.
    if (typeof part === 'string') return response.write(`${size}${part}\r\n`);
    if (bytes <= ONE_WRITE_BYTES) return response.write(`${size}${part.toString('latin1')}\r\n`, 'latin1');
    response.write(size, 'latin1');
    response.write(part);
    return response.write('\r\n', 'latin1');
  }

  end(): void {
    if (this.finished) return;
    if (this.#isFraming) this.#response.end(LAST_CHUNK, 'latin1');
    else this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }

  onDrain(listener: () => void): void {
    this.#response.removeAllListeners('drain');
    this.#response.on('drain', listener);
  }
}

/** Node counts what waits in a socket by its length: of text with other characters than ASCII that is too little for UnreadBytes. */
function countable(chunk: Buffer | string, bytes: number): Buffer | string {
  return bytes === chunk.length ? chunk : Buffer.from(chunk as string);
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
 * The whole body, at most `limitBytes`; undefined when it is larger (the rest is not read here).
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
    const stop = () => {
      request.pause();
      request.removeAllListeners('data');
      // The rest of it may be read into nothing, by others: what came is not kept meanwhile.
      first = undefined;
      rest = undefined;
    };
    request.on('data', (chunk: Buffer) => {
      total += chunk.length;
      if (total > limitBytes) {
        stop();
        resolve(undefined);
        return;
      }
      if (place && !fits(place, total, reject)) {
        stop();
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
