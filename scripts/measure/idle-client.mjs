// A session whose client holds a GET stream open and opens it again, from where it was, whenever it ends.
import { connect } from 'node:net';
import { message } from '../bench/calls.mjs';
import { EventReader } from '../chaos/sse.mjs';
import { sessionOpener } from './open-session.mjs';

/** As the balancers do that cut what is silent. */
const SILENT_MS = 20_000;
const AGAIN_MS = [200, 1000];
const BOTH = 'application/json, text/event-stream';
const HEADERS = `content-type: application/json\r\naccept: ${BOTH}\r\n`;
const openSession = sessionOpener(BOTH, '2025-11-25');

export class IdleClient {
  isOpen = false;
  isLost = false;
  /** Cut by a balancer that had heard nothing for too long. */
  silences = 0;
  /** The last mark that came, and those of others. */
  mark = 0;
  crossed = 0;
  #tag;
  #at;
  #id;
  #socket;
  #lastId;
  #ended = false;

  /** @param at `{ host, port }` */
  constructor(tag, at) {
    this.#tag = tag;
    this.#at = at;
  }

  async open(http) {
    this.#id = await openSession(http);
  }

  /** @returns whether the answer was its own */
  async call(http) {
    const body = message(2, 'tools/call', { name: 'echo', arguments: { tag: this.#tag } });
    const answer = await http.send('POST', '/mcp', `${HEADERS}mcp-session-id: ${this.#id}\r\n`, body);
    return answer.status === 200 && answer.body.includes(`"text":"${this.#tag}"`);
  }

  /** Returns at once; `isOpen` when the stream is there. */
  listen() {
    if (this.#ended || this.isLost) return;
    const { host, port } = this.#at;
    const socket = connect(port, host);
    const reader = new EventReader((event) => this.#take(event));
    let head = '';
    this.#socket = socket;
    socket.setTimeout(SILENT_MS, () => {
      this.silences += 1;
      socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isOpen = false;
      setTimeout(() => this.listen(), AGAIN_MS[0] + Math.random() * (AGAIN_MS[1] - AGAIN_MS[0])).unref();
    });
    socket.setEncoding('latin1').on('data', (part) => {
      // Sizes of chunks stand on lines of their own: to the reader they are fields that nobody knows.
      if (this.isOpen) return reader.take(part);
      head += part;
      if (!head.includes('\r\n\r\n')) return;
      this.isOpen = head.startsWith('HTTP/1.1 200');
      this.isLost = head.startsWith('HTTP/1.1 404');
      if (!this.isOpen) socket.destroy();
    });
    const resumed = this.#lastId === undefined ? '' : `last-event-id: ${this.#lastId}\r\n`;
    socket.write(
      `GET /mcp HTTP/1.1\r\nhost: ${host}\r\naccept: text/event-stream\r\nmcp-session-id: ${this.#id}\r\n${resumed}\r\n`,
    );
  }

  #take({ data, id }) {
    if (id) this.#lastId = id;
    const found = /"mark":(\d+),"tag":"([^"]+)"/.exec(data);
    if (!found) return;
    if (found[2] === this.#tag) this.mark = Math.max(this.mark, Number(found[1]));
    else this.crossed += 1;
  }

  close() {
    this.#ended = true;
    this.#socket?.destroy();
  }
}
