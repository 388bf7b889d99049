// What has certainly not begun may be tried again; what may have run is said to be broken, and a cut answer is never a whole one.
import { stat } from 'node:fs';
import { readMessage } from '../../../src/edge/read-message.js';
import { FRAME } from '../../../src/forward/frames.js';
import { Peers } from '../../../src/forward/peers.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { waitFor } from '../../support/wait-for.js';
import { type Hopping, KEYS, makeCall, makeLease, startHop, TAKE } from './hop-fixture.js';
import { collectFrames, frame, HELLO, listenRaw, uint32 } from './raw-peer.js';

const ANSWER = JSON.stringify({ s: 200, h: {} });

function startForwarder(limits = {}) {
  return new Peers({ ownPod: 'pod-a', keyring: KEYS, clock: systemClock, connectTimeoutMs: 200, limits });
}

test('nobody listens: not begun', async () => {
  const forwarder = startForwarder();
  const outcome = await forwarder.forward(makeCall().exchange, makeLease({ unixSocket: '/tmp/berth-nobody.sock' }), TAKE);
  expect(outcome).toEqual({ kind: 'notBegun', reason: 'refused' });
  const tcp = makeLease({ pod: 'pod-b', tcp: { host: '127.0.0.1', port: 1 } });
  expect(await forwarder.forward(makeCall().exchange, tcp, TAKE)).toEqual({ kind: 'notBegun', reason: 'refused' });
  expect(await forwarder.forward(makeCall().exchange, makeLease({ pod: 'pod-b' }), TAKE)).toEqual({
    kind: 'notBegun',
    reason: 'no_address',
  });
  await forwarder.close(0);
  expect(await forwarder.forward(makeCall().exchange, tcp, TAKE)).toEqual({ kind: 'notBegun', reason: 'closing' });
});

test.each([
  ['a worker that accepts and says nothing (stopped)', () => {}, 'timeout'],
  ['a worker that closes before its HELLO', (s: { destroy(): void }) => s.destroy(), 'hello'],
  ['a worker of another version', (s: { write(b: Buffer): void }) => s.write(frame(FRAME.HELLO, 0, '{"version":2}')), 'hello'],
])('%s: not begun', async (_name, onSocket, reason) => {
  const raw = await listenRaw(onSocket as never);
  const forwarder = startForwarder();
  const lease = makeLease({ unixSocket: raw.path });
  const outcomes = await Promise.all([1, 2, 3].map((id) => forwarder.forward(makeCall({ id }).exchange, lease, TAKE)));
  expect(outcomes).toEqual(Array(3).fill({ kind: 'notBegun', reason }));
  expect(raw.sockets).toHaveLength(1);
  await forwarder.close(0);
  await raw.close();
});

test.each([
  ['before the head of the answer', []],
  ['after the head', [frame(FRAME.HEAD, 1, ANSWER)]],
  ['after all of the body, before END', [frame(FRAME.HEAD, 1, ANSWER), frame(FRAME.DATA, 1, 'all of it')]],
  ['a whole answer short of END', [frame(FRAME.HEAD, 1, JSON.stringify({ s: 200, h: {}, w: 3 })), frame(FRAME.DATA, 1, 'abc')]],
])('the owner dies %s: broken', async (_name, frames) => {
  const raw = await listenRaw((socket) => {
    socket.write(HELLO);
    collectFrames(socket, ({ type }) => {
      if (type === FRAME.END) socket.end(Buffer.concat(frames));
    });
  });
  const forwarder = startForwarder();
  const call = makeCall();
  const outcome = await forwarder.forward(call.exchange, makeLease({ unixSocket: raw.path }), TAKE);
  expect(outcome.kind).toBe('broken');
  expect(call.answer.finished).toBe(false);
  await forwarder.close(0);
  await raw.close();
});

test.each([
  ['in the middle of an answer', 'data: {"jsonrpc":"2.0","id":3,"res'],
  ['before the blank line of an answer', 'data: {"jsonrpc":"2.0","id":3,"result":{}}\n'],
])('the owner dies %s to a batch: which requests have theirs is known', async (_name, cut) => {
  const events = JSON.stringify({ s: 200, h: { 'content-type': 'text/event-stream' } });
  const answered = `data: ${JSON.stringify({ jsonrpc: '2.0', id: 2, result: {} })}\n\n`;
  const raw = await listenRaw((socket) => {
    socket.write(HELLO);
    collectFrames(socket, ({ type }) => {
      if (type !== FRAME.END) return;
      const [first, second] = [answered.slice(0, 20), `${answered.slice(20)}${cut}`];
      socket.end(Buffer.concat([frame(FRAME.HEAD, 1, events), frame(FRAME.DATA, 1, first), frame(FRAME.DATA, 1, second)]));
    });
  });
  const forwarder = startForwarder();
  const { exchange } = makeCall();
  const text = JSON.stringify([1, 2, 3].map((id) => ({ jsonrpc: '2.0', id, method: 'tools/call' })));
  const batch: Exchange = Object.assign(exchange, { body: readMessage(Buffer.from(text), 'support') });
  expect((await forwarder.forward(batch, makeLease({ unixSocket: raw.path }), TAKE)).kind).toBe('broken');
  expect(batch.unanswered?.finish()).toEqual([1, 3]);
  await forwarder.close(0);
  await raw.close();
});

test('a request written to a peer that died unnoticed has not begun: the kernel took none of it', async () => {
  const raw = await listenRaw((socket) => {
    socket.write(HELLO);
    // The first request is answered, so that the connection is known and idle.
    collectFrames(socket, ({ type, id }) => {
      if (type === FRAME.END) socket.write(Buffer.concat([frame(FRAME.HEAD, id, ANSWER), frame(FRAME.END, id)]));
    });
  });
  const forwarder = startForwarder();
  const lease = makeLease({ unixSocket: raw.path });
  expect((await forwarder.forward(makeCall().exchange, lease, TAKE)).kind).toBe('answered');
  // In the callback of an I/O event: what is written in it leaves before the loop reads the end of the connection.
  const outcome = await new Promise((resolve) => {
    stat('.', () => {
      for (const socket of raw.sockets) socket.destroy();
      resolve(forwarder.forward(makeCall().exchange, lease, TAKE));
    });
  });
  expect(outcome).toMatchObject({ kind: 'notBegun' });
  await forwarder.close(0);
  await raw.close();
});

test('a request whose body had not left whole has not begun', async () => {
  // No credit ever comes back, so END of this large request cannot be sent.
  const raw = await listenRaw((socket) => {
    socket.write(HELLO);
    collectFrames(socket, ({ type }) => {
      if (type === FRAME.DATA) socket.destroy();
    });
  });
  const forwarder = startForwarder();
  const call = makeCall({ params: { text: 'x'.repeat(1_000_000) } });
  expect((await forwarder.forward(call.exchange, makeLease({ unixSocket: raw.path }), TAKE)).kind).toBe('notBegun');
  await forwarder.close(0);
  await raw.close();
});

test('ids beyond GOAWAY have not begun; the named ones are still answered', async () => {
  const raw = await listenRaw((socket) => {
    socket.write(HELLO);
    collectFrames(socket, ({ type, id }) => {
      if (type !== FRAME.END || id !== 3) return;
      const answer = [frame(FRAME.HEAD, 1, JSON.stringify({ s: 202, h: {}, w: 0 })), frame(FRAME.END, 1)];
      socket.end(Buffer.concat([frame(FRAME.GOAWAY, 0, uint32(1)), ...answer]));
    });
  });
  const forwarder = startForwarder();
  const lease = makeLease({ unixSocket: raw.path });
  const outcomes = await Promise.all([1, 2, 3].map((id) => forwarder.forward(makeCall({ id }).exchange, lease, TAKE)));
  expect(outcomes).toEqual([
    { kind: 'answered', status: 202 },
    { kind: 'notBegun', reason: 'goaway' },
    { kind: 'notBegun', reason: 'goaway' },
  ]);
  await forwarder.close(0);
  await raw.close();
});

test('a peer that stops reading and answering is found by PING: its requests are broken', async () => {
  let pings = 0;
  let stopped = false;
  const raw = await listenRaw((socket) => {
    socket.write(HELLO);
    collectFrames(socket, ({ type }) => {
      if (type !== FRAME.PING || stopped) return;
      pings += 1;
      socket.write(frame(FRAME.PING, 0, Buffer.from([1])));
    });
  });
  const forwarder = startForwarder({ pingMs: 30 });
  const outcome = forwarder.forward(makeCall().exchange, makeLease({ unixSocket: raw.path }), TAKE);
  await waitFor('pings to be answered', () => pings > 3);
  stopped = true;
  raw.sockets[0]?.pause();
  expect(await outcome).toEqual({ kind: 'broken', reason: 'silent' });
  await forwarder.close(0);
  await raw.close();
});

test('PING keeps a long call alive', async () => {
  let late: Exchange | undefined;
  const hop = await startHop({ limits: { pingMs: 5 }, handler: (exchange) => (late = exchange) });
  const call = makeCall();
  const outcome = hop.forward(call);
  const since = performance.now();
  await waitFor('twenty periods to pass', () => performance.now() - since > 100);
  late?.answer.send(200, {}, 'late');
  expect((await outcome).kind).toBe('answered');
  await hop.close();
});

describe('aborts', () => {
  let hop: Hopping;
  let seen: Exchange[];
  beforeEach(async () => {
    seen = [];
    hop = await startHop({ handler: (exchange) => seen.push(exchange) });
  });
  afterEach(() => hop.close());

  async function begin() {
    const call = makeCall();
    const outcome = hop.forward(call);
    const exchange = await waitFor('the owner to see the request', () => seen[0]);
    return { call, outcome, exchange };
  }

  test('the caller leaves: the owner hears of it, and calls after that are harmless', async () => {
    const { call, outcome, exchange } = await begin();
    let heard = 0;
    exchange.onAbort(() => (heard += 1));
    exchange.onAbort(() => (heard += 1));
    call.abort();
    expect(await outcome).toEqual({ kind: 'answered', status: 0 });
    await waitFor('the abort to arrive', () => heard === 2);
    exchange.onAbort(() => (heard += 1));
    expect([heard, exchange.aborted, exchange.answer.finished]).toEqual([3, true, true]);
    exchange.answer.send(200, {}, 'too late');
    exchange.answer.start(200, {});
    exchange.answer.write('x');
    exchange.answer.end();
    exchange.answer.destroy();
    expect(call.answer.started).toBe(false);
    expect(hop.closed).toEqual([]);
  });

  test('a caller who had left before sends nothing at all', async () => {
    const call = makeCall();
    call.abort();
    expect(await hop.forward(call)).toEqual({ kind: 'answered', status: 0 });
    expect(seen).toEqual([]);
  });

  test('the owner breaks its answer off: broken, without an end', async () => {
    const { call, outcome, exchange } = await begin();
    exchange.answer.start(200, {});
    exchange.answer.write('half');
    exchange.answer.destroy();
    expect(await outcome).toEqual({ kind: 'broken', reason: 'cancelled' });
    expect(call.answer).toMatchObject({ started: true, finished: false });
  });

  test('the forwarder goes away: the owner hears of it', async () => {
    const { outcome, exchange } = await begin();
    await hop.forwarder.close(0);
    expect((await outcome).kind).toBe('broken');
    await waitFor('the abort', () => exchange.aborted);
  });

  test('a complete answer is not aborted by what comes after it', async () => {
    const { outcome, exchange } = await begin();
    let aborted = false;
    exchange.onAbort(() => (aborted = true));
    exchange.answer.send(200, {}, 'ok');
    expect((await outcome).kind).toBe('answered');
    await hop.forwarder.close(0);
    await hop.listener.close(500);
    expect([aborted, exchange.aborted]).toEqual([false, false]);
  });
});
