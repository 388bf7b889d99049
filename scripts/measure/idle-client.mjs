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
  /** How often its stream ended without its asking. */
  breaks = 0;
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
    const body = new Chunks((text) => reader.take(text));
    let head = '';
    this.#socket = socket;
    socket.setTimeout(SILENT_MS, () => {
      this.silences += 1;
      socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.isOpen) this.breaks += 1;
      this.isOpen = false;
      setTimeout(() => this.listen(), AGAIN_MS[0] + Math.random() * (AGAIN_MS[1] - AGAIN_MS[0])).unref();
    });
    socket.setEncoding('latin1').on('data', (part) => {
      if (this.isOpen) return body.push(part);
      head += part;
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.isOpen = head.startsWith('HTTP/1.1 200');
      this.isLost = head.startsWith('HTTP/1.1 404');
      if (this.isOpen) body.push(head.slice(end + 4));
      else socket.destroy();
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

/** Undoes the transfer encoding (RFC 9112 7.1) of text with one character a byte: an event may come in several chunks. */
class Chunks {
  #take;
  #rest = '';
  /** Of the chunk under way, with the line end behind it. */
  #left = 0;

  constructor(take) {
    this.#take = take;
  }

  push(text) {
    this.#rest += text;
    while (this.#rest !== '') {
      if (this.#left === 0) {
        const end = this.#rest.indexOf('\r\n');
        if (end < 0) return;
        this.#left = Number.parseInt(this.#rest, 16) + 2;
        this.#rest = this.#rest.slice(end + 2);
      }
      const part = this.#rest.slice(0, this.#left);
      const payload = part.slice(0, Math.max(0, this.#left - 2));
      if (payload !== '') this.#take(payload);
      this.#left -= part.length;
      this.#rest = this.#rest.slice(part.length);
    }
  }
}
