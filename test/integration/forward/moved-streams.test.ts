// A stream whose session goes to another owner: the edge is told, after everything that was written, and never in the middle of an event.
import type { Exchange } from '../../../src/streams/exchange.js';
import { FRAME } from '../../../src/forward/frames.js';
import { Peers } from '../../../src/forward/peers.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { waitFor } from '../../support/wait-for.js';
import { KEYS, makeCall, makeLease, startHop, TAKE } from './hop-fixture.js';
import { collectFrames, frame, HELLO, listenRaw } from './raw-peer.js';

const EVENTS = { 'content-type': 'text/event-stream' };
const ANSWER = JSON.stringify({ s: 200, h: EVENTS });

test.each(['unix', 'tls'] as const)('the edge gets all of it and is told that it moved (%s)', async (over) => {
  let seen: Exchange | undefined;
  const hop = await startHop({
    over,
    handler: (exchange) => {
      seen = exchange;
    },
  });
  const call = makeCall({ method: 'GET' });
  const outcome = hop.forward(call);
  const { answer, isReattached } = await waitFor('the request to arrive', () => seen);
  expect(isReattached).toBe(false);
  answer.start(200, EVENTS);
  // More than the credit of a stream: what waits for it comes before the mark.
  call.answer.reads = false;
  const event = `data: ${'x'.repeat(600 * 1024)}\n\n`;
  answer.write(event);
  answer.moved?.();
  expect(answer.finished).toBe(true);
  await waitFor('the first part', () => call.answer.bytes > 0);
  call.answer.reads = true;
  await waitFor('the rest of it', () => {
    call.answer.read();
    return call.answer.bytes === event.length;
  });
  expect(await outcome).toEqual({ kind: 'broken', reason: 'moved' });
  expect(call.answer.finished).toBe(false);

  // Attached again: the next owner learns that its client has not asked anew.
  seen = undefined;
  const again = hop.forward(call);
  const second: Exchange = await waitFor('the second request', () => seen);
  expect(second.isReattached).toBe(true);
  second.answer.send(404, {}, '{}');
  expect(await again).toEqual({ kind: 'answered', status: 404 });
  expect(call.answer.finished).toBe(true);
  expect(call.answer.body.toString()).toBe(event);
  await hop.close();
});

/** What the owner wrote before it died, and what the caller's side of the hop makes of it. */
async function die(method: 'GET' | 'POST', bytes: string, awaits?: string) {
  const raw = await listenRaw((socket) => {
    socket.write(HELLO);
    collectFrames(socket, ({ type }) => {
      if (type === FRAME.END) socket.end(Buffer.concat([frame(FRAME.HEAD, 1, ANSWER), frame(FRAME.DATA, 1, bytes)]));
    });
  });
  const forwarder = new Peers({ ownPod: 'pod-a', keyring: KEYS, clock: systemClock });
  const call = makeCall({ method });
  const exchange = Object.assign(call.exchange, awaits === undefined ? {} : { awaits });
  const { kind } = await forwarder.forward(exchange, makeLease({ unixSocket: raw.path }), TAKE);
  await forwarder.close(0);
  await raw.close();
  return { kind, finished: call.answer.finished, text: call.answer.body.toString(), resumeAfter: call.exchange.resumeAfter };
}

// An event of another type reaches no listener, and its blank line keeps it apart from what comes next.
test.each([
  ['between two events', 'id: a\ndata: 1\n\n', ''],
  ['in the middle of an event', 'id: a\ndata: 1\n\nid: b\ndata: {"a', '\nid: a\nevent: cut\n\n'],
  ['before the blank line', 'id: a\ndata: 1\n\nid: b\ndata: 2\n', 'id: a\nevent: cut\n\n'],
])('an answer to a POST whose owner dies %s is left where another owner can go on', async (_name, bytes, closing) => {
  const expected = { kind: 'broken', finished: false, text: bytes + closing, resumeAfter: 'a' };
  expect(await die('POST', bytes)).toEqual(expected);
  // So is the rest of it that a second owner gave.
  expect(await die('GET', bytes, 'call')).toEqual(expected);
});

test.each([
  ['between two events', 'data: 1\n\n', 'broken', false],
  ['in the middle of an event', 'data: 1\n\ndata: {"a', 'answered', true],
])('an owner that dies %s', async (_name, bytes, kind, finished) => {
  expect(await die('GET', bytes)).toMatchObject({ kind, finished, text: bytes });
});
