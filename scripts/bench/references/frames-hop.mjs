// A plain hop by frames: two bare relays with one Unix socket between them, and none of what a gateway does (no aborts, no back-pressure).
// Arguments: origin of the backend, path of the socket, role (`owner`, `edge`). Prints its port (an edge), ends with its parent.
// A frame: length of the rest (4 bytes), id of the request (4), length of its head (4), head as JSON, bytes of a body. An answer is one frame
// with a head, any number without, and an empty one as its end.
import { createServer } from 'node:http';
import { connect, createServer as createSocketServer } from 'node:net';
import { Pool } from 'undici';

const [, , origin, path, role] = process.argv;
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host']);
const PREFIX = 12;
const NO_HEAD = Buffer.alloc(0);
const NO_BODY = Buffer.alloc(0);

/** What is written in one tick leaves as one. */
class Wire {
  #socket;
  #isCorked = false;
  #rest = NO_BODY;

  constructor(socket, onFrame) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
      while (bytes.length >= PREFIX && bytes.length >= 4 + bytes.readUInt32BE(0)) {
        const end = 4 + bytes.readUInt32BE(0);
        const headEnd = PREFIX + bytes.readUInt32BE(8);
        const head = headEnd === PREFIX ? undefined : JSON.parse(bytes.latin1Slice(PREFIX, headEnd));
        onFrame(bytes.readUInt32BE(4), head, bytes.subarray(headEnd, end));
        bytes = bytes.subarray(end);
      }
      this.#rest = bytes;
    });
  }

  send(id, head, body) {
    const headBytes = head === undefined ? NO_HEAD : Buffer.from(JSON.stringify(head), 'latin1');
    const frame = Buffer.allocUnsafe(PREFIX + headBytes.length + body.length);
    frame.writeUInt32BE(frame.length - 4, 0);
    frame.writeUInt32BE(id, 4);
    frame.writeUInt32BE(headBytes.length, 8);
    headBytes.copy(frame, PREFIX);
    body.copy(frame, PREFIX + headBytes.length);
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      setImmediate(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frame);
  }
}

function endToEnd(raw) {
  const kept = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = String(raw[i]);
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, String(raw[i + 1]));
  }
  return kept;
}

class Answer {
  constructor(wire, id) {
    this.wire = wire;
    this.id = id;
  }
  onConnect() {}
  onHeaders(status, raw) {
    this.wire.send(this.id, { status, headers: endToEnd(raw) }, NO_BODY);
    return true;
  }
  onData(chunk) {
    this.wire.send(this.id, undefined, chunk);
    return true;
  }
  onComplete() {
    this.wire.send(this.id, undefined, NO_BODY);
  }
  onError() {
    this.wire.send(this.id, { status: 502, headers: [] }, NO_BODY);
    this.onComplete();
  }
}

function serveOwner() {
  const pool = new Pool(origin, { connections: 256, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const server = createSocketServer((socket) => {
    const wire = new Wire(socket, (id, head, body) => pool.dispatch({ ...head, body }, new Answer(wire, id)));
  });
  server.listen(path, () => process.send({ port: 0 }));
}

function serveEdge() {
  const waiting = new Map();
  let nextId = 1;
  const wire = new Wire(connect(path), (id, head, body) => {
    const outgoing = waiting.get(id);
    if (head) outgoing.writeHead(head.status, head.headers);
    else if (body.length > 0) outgoing.write(body);
    else {
      waiting.delete(id);
      outgoing.end();
    }
  });
  const server = createServer({ keepAliveTimeout: 3_600_000 }, (incoming, outgoing) => {
    const chunks = [];
    incoming.on('data', (chunk) => chunks.push(chunk));
    incoming.on('end', () => {
      const id = nextId++;
      waiting.set(id, outgoing);
      const { method, url, rawHeaders } = incoming;
      wire.send(id, { method, path: url, headers: endToEnd(rawHeaders) }, Buffer.concat(chunks));
    });
  });
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
}

if (role === 'owner') serveOwner();
else serveEdge();
process.on('disconnect', () => process.exit(0));
