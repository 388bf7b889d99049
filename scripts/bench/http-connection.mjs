// One kept HTTP/1.1 connection with one request in flight: a client so small that the load does not become the bottleneck.
// It understands what its peers send (content-length, chunked) and fails loudly on anything else.
import { connect } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');

export class HttpConnection {
  #socket;
  #host;
  #received = Buffer.alloc(0);
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

  opened() {
    return new Promise((resolve, reject) => this.#socket.once('connect', resolve).once('error', reject));
  }

  /** @returns {Promise<{status: number, sessionId: string | undefined, body: string}>} */
  send(method, path, headers, body = '') {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      const head = `${method} ${path} HTTP/1.1\r\nhost: ${this.#host}\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n`;
      this.#socket.write(head + body);
    });
  }

  close() {
    this.#pending = undefined;
    this.#socket.destroy();
  }

  #take(chunk) {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = this.#received.latin1Slice(0, headEnd);
    const body = this.#bodyOf(head, headEnd + HEAD_END.length);
    if (body === undefined) return;
    const { resolve } = this.#pending;
    this.#pending = undefined;
    resolve({ status: Number(head.slice(9, 12)), sessionId: /\r\nmcp-session-id: *(\S+)/i.exec(head)?.[1], body });
  }

  /** The whole body, or undefined while some of it is missing. */
  #bodyOf(head, start) {
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length !== undefined) {
      const end = start + Number(length);
      if (this.#received.length < end) return undefined;
      const body = this.#received.utf8Slice(start, end);
      this.#received = this.#received.subarray(end);
      return body;
    }
    if (!/\r\ntransfer-encoding: *chunked/i.test(head)) {
      // 202 and 204 may come without either.
      this.#received = this.#received.subarray(start);
      return '';
    }
    const parts = [];
    for (let at = start; ; ) {
      const lineEnd = this.#received.indexOf('\r\n', at);
      if (lineEnd < 0) return undefined;
      const size = Number.parseInt(this.#received.latin1Slice(at, lineEnd), 16);
      const end = lineEnd + 2 + size + 2;
      if (this.#received.length < end) return undefined;
      if (size === 0) {
        this.#received = this.#received.subarray(end);
        return Buffer.concat(parts).toString('utf8');
      }
      parts.push(this.#received.subarray(lineEnd + 2, lineEnd + 2 + size));
      at = end;
    }
  }

  #fail(error) {
    this.#failure ??= error;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.reject(error);
  }
}
