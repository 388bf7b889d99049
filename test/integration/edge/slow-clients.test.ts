// Clients that do not read, over real sockets: whether anything moves is told by node and the kernel, and must stay true.
import { connect, type Socket } from 'node:net';
import { startEventStream, writeEvent } from '../../../src/streams/event-stream.js';
import { collect } from '../../support/raw-request.js';
import { waitFor } from '../../support/wait-for.js';
import { Edge, type EdgeOptions } from './edge-fixture.js';

const MIB = 1024 * 1024;
const BODY = Buffer.alloc(40 * MIB, 'x');
const STALL_MS = 1500;
const BODY_TEXT = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

let edge: Edge;
let sockets: Socket[];

async function start(unread: NonNullable<EdgeOptions['unread']>) {
  edge = await new Edge({ unread }).start();
  edge.execute = async ({ answer }) => answer.send(200, { 'content-type': 'application/json' }, BODY);
}
beforeEach(() => {
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await edge.stop();
});

/** Asks, and reads nothing of the answer by itself. */
function ask(version = '1.1', accept = 'application/json, text/event-stream'): Socket {
  const socket = connect(edge.port, '127.0.0.1');
  sockets.push(socket);
  const head = [`POST /mcp HTTP/${version}`, 'host: gateway.test', 'content-type: application/json', `accept: ${accept}`];
  socket.on('error', () => undefined);
  socket.write(`${[...head, `content-length: ${BODY_TEXT.length}`].join('\r\n')}\r\n\r\n${BODY_TEXT}`);
  return socket;
}

test('a connection whose client takes nothing is closed, and whoever answers is told', async () => {
  await start({ maxStallMs: () => STALL_MS });
  let isTold = false;
  edge.execute = async (exchange) => {
    exchange.answer.start(200, { 'content-type': 'application/json' });
    exchange.answer.write(BODY);
    exchange.onAbort(() => {
      isTold = true;
    });
  };
  ask();
  await waitFor('the request', () => edge.seen.length === 1);
  expect(await edge.openConnections()).toBe(1);
  await waitFor('the connection to be closed', async () => (await edge.openConnections()) === 0, 10_000);
  expect(edge.cut).toEqual(['stalled']);
  // The count falls with the descriptor; what the connection carried hears of it a turn later.
  await waitFor('whoever answers to be told', () => isTold);
});

test('one whose client takes something now and then is not, though the one write of the answer lasts for longer', async () => {
  await start({ maxStallMs: () => STALL_MS });
  const socket = ask();
  let bytes = 0;
  const begun = performance.now();
  for (let step = 1; step <= 10; step++) {
    await waitFor('the time of the next bite', () => performance.now() - begun > (step * STALL_MS) / 3);
    const until = bytes + 2 * MIB;
    await waitFor('two megabytes', () => {
      bytes += (socket.read() as Buffer | null)?.length ?? 0;
      return bytes >= until;
    });
  }
  expect(edge.cut).toEqual([]);
  socket.on('data', (part: Buffer) => {
    bytes += part.length;
  });
  await waitFor('all of it', () => bytes > BODY.length);
});

test('all connections together hold no more than the bound', async () => {
  await start({ maxBytes: 50 * MIB });
  ask();
  await waitFor('the first request', () => edge.seen.length === 1);
  ask();
  await waitFor('room to be made', () => edge.cut.length > 0, 10_000);
  expect(edge.cut).toEqual(['memory']);
  expect(await edge.openConnections()).toBe(1);
});

test.each([
  ['an answer', '1.1'],
  ['a stream', '1.1'],
  ['a stream without chunks', '1.0'],
])('text is counted in bytes, not in characters: %s', async (what, version) => {
  await start({ maxBytes: 20 * MIB });
  const text = '漢'.repeat(10 * MIB);
  edge.execute = async ({ answer }) => {
    if (what === 'an answer') {
      answer.send(200, { 'content-type': 'application/json' }, text);
      return;
    }
    startEventStream(answer, {});
    writeEvent(answer, text);
  };
  ask(version);
  await waitFor('room to be made', () => edge.cut.length > 0, 10_000);
  expect(edge.cut).toEqual(['memory']);
});

test.each([
  ['application/json, text/event-stream', 'text/event-stream'],
  ['application/json', 'application/json'],
])('HTTP/1.0, accept: %s: nothing is chunked, and the end of the connection is the end', async (accept, type) => {
  await start({});
  edge.execute = async ({ answer }) => {
    if (type === 'application/json') answer.send(200, { 'content-type': type }, '{"id":1}');
    else {
      startEventStream(answer, {});
      writeEvent(answer, '{"id":1}');
      answer.end();
    }
  };
  const socket = ask('1.0', accept);
  const received = collect(socket);
  await waitFor('the end', () => received.isClosed);
  const [head = '', body = ''] = received.text.split('\r\n\r\n');
  expect(head.toLowerCase()).toContain(`content-type: ${type}`);
  expect(head.toLowerCase()).not.toContain('transfer-encoding');
  expect(body).toMatch(type === 'application/json' ? /^\{"id":1\}$/ : /^retry: \d+\n\ndata: \{"id":1\}\n\n$/);
});
