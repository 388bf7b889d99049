// Requests that are answered before they are read: for how long what still comes is thrown away.
import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Lingering } from '../../../src/edge/linger.js';
import { FakeClock } from '../../support/fake-clock.js';

const MIB = 1024 * 1024;

function setUp() {
  const clock = new FakeClock();
  const socket = new EventEmitter();
  const request = Object.assign(new EventEmitter(), { socket, headers: {}, resumed: 0, resume: () => void request.resumed++ });
  let ends = 0;
  const lingering = new Lingering(clock);
  lingering.take(request as unknown as IncomingMessage, () => void ends++);
  return { clock, lingering, request, socket: socket as Socket, ends: () => ends };
}

test.each([
  ['all of it has come', ({ request }: ReturnType<typeof setUp>) => request.emit('end')],
  ['its client has left', ({ request }: ReturnType<typeof setUp>) => request.emit('close')],
  ['ten seconds have gone by', ({ clock }: ReturnType<typeof setUp>) => clock.advance(10_000)],
  ['more than 16 MiB came', ({ request }: ReturnType<typeof setUp>) => request.emit('data', Buffer.alloc(1))],
])('it ends once, when %s', (_, happen) => {
  const made = setUp();
  made.request.emit('data', Buffer.alloc(16 * MIB));
  made.clock.advance(9_999);
  expect([made.request.resumed, made.ends()]).toEqual([1, 0]);
  happen(made);
  expect(made.ends()).toBe(1);
  made.request.emit('close');
  made.clock.advance(10_000);
  expect([made.ends(), made.clock.pendingTimers, made.request.eventNames()]).toEqual([1, 0, []]);
});

test('a connection that was told that it ends begins nothing more, also after the patience with it is over', () => {
  const { clock, lingering, socket } = setUp();
  expect(lingering.has(socket)).toBe(true);
  clock.advance(10_000);
  expect(lingering.has(socket)).toBe(true);
  socket.emit('close');
  expect(lingering.has(socket)).toBe(false);
});

test('it is taken for so many at a time, and for no body that would be cut all the same', () => {
  const { clock } = setUp();
  const lingering = new Lingering(clock);
  const requestOf = (length: number) =>
    Object.assign(new EventEmitter(), {
      socket: new EventEmitter(),
      headers: { 'content-length': String(length) },
      resume: () => undefined,
    }) as unknown as IncomingMessage;
  expect(lingering.mayTake(requestOf(16 * MIB + 1))).toBe(false);
  for (let n = 0; n < 1000; n++) {
    expect(lingering.mayTake(requestOf(16 * MIB))).toBe(true);
    lingering.take(requestOf(MIB), () => undefined);
  }
  expect(lingering.mayTake(requestOf(MIB))).toBe(false);
});
