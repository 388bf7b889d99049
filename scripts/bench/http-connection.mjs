// One kept HTTP/1.1 connection with one request in flight: a client so small that the load does not become the bottleneck.
// It understands what its peers send (content-length, chunked) and fails loudly on anything else, also on what nobody has asked for.
import { connect } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');

export class HttpConnection {
  #socket;
  #host;
  #chunks = [];
  #bytes = 0;
  #head;
  #pending;
  #failure;

  constructor(host, port) {
    this.#host = `${host}:${port}`;
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('connection closed')));
  }

  get socket() {
    return this.#socket;
  }

  /** Why it can be used no more; undefined while it can. */
  get failure() {
    return this.#failure;
  }

  opened() {
    return new Promise((resolve, reject) => this.#socket.once('connect', resolve).once('error', reject));
  }

  /** @returns {Promise<{status: number, sessionId: string | undefined, retryAfter: string | undefined, body: string}>} */
  send(method, path, headers, body = '') {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject, sinceMs: performance.now() };
      const head = `${method} ${path} HTTP/1.1\r\nhost: ${this.#host}\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n`;
      this.#socket.write(head + body);
    });
  }

  /** Gives up what was asked more than `ms` ago: an answer that is lost must not be waited for for ever. */
  expire(ms) {
    if (this.#pending && performance.now() - this.#pending.sinceMs > ms) this.#fail(new Error(`no answer within ${ms} ms`));
  }

  close() {
    this.#pending = undefined;
    this.#failure ??= new Error('closed');
    this.#socket.destroy();
  }

  #take(chunk) {
    if (!this.#pending) {
      this.#fail(new Error(`an answer that nobody has asked for: ${chunk.toString('latin1', 0, 100)}`));
      return;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    // A large body is laid together once, when it is whole.
    if (this.#head?.length !== undefined && this.#bytes < this.#head.start + this.#head.length) return;
    const received = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#chunks = [received];
    this.#head ??= readHead(received);
    const body = this.#head && bodyOf(received, this.#head);
    if (body === undefined) return;
    const { status, sessionId, retryAfter } = this.#head;
    const { resolve } = this.#pending;
    const rest = received.length > body.end ? received.subarray(body.end) : undefined;
    this.#chunks = [];
    this.#bytes = 0;
    this.#head = undefined;
    this.#pending = undefined;
    if (rest) this.#take(rest);
    resolve({ status, sessionId, retryAfter, body: body.text });
  }

  #fail(error) {
    this.#failure ??= error;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.reject(error);
    this.#socket.destroy();
  }
}

function readHead(received) {
  const end = received.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const text = received.latin1Slice(0, end);
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
  return {
    status: Number(text.slice(9, 12)),
    sessionId: /\r\nmcp-session-id: *(\S+)/i.exec(text)?.[1],
    // Nearly every answer is one of success: no search in those.
    retryAfter: text.startsWith('2', 9) ? undefined : /\r\nretry-after: *(\d+)/i.exec(text)?.[1],
    start: end + HEAD_END.length,
    length: length === undefined ? undefined : Number(length),
    isChunked: /\r\ntransfer-encoding: *chunked/i.test(text),
  };
}

/** The whole body and where it ends, or undefined while some of it is missing. */
function bodyOf(received, { start, length, isChunked }) {
  if (!isChunked) {
    // 202 and 204 may come without a length.
    const end = start + (length ?? 0);
    return received.length < end ? undefined : { text: received.utf8Slice(start, end), end };
  }
  const parts = [];
  for (let at = start; ; ) {
    const lineEnd = received.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(received.latin1Slice(at, lineEnd), 16);
    const end = lineEnd + 2 + size + 2;
    if (received.length < end) return undefined;
    if (size === 0) return { text: Buffer.concat(parts).toString('utf8'), end };
    parts.push(received.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = end;
  }
}
