// Requests that are answered before they are read: for how long what still comes is thrown away.
import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { linger } from '../../../src/edge/linger.js';
import { FakeClock } from '../../support/fake-clock.js';

const MIB = 1024 * 1024;

function setUp() {
  const clock = new FakeClock();
  const request = Object.assign(new EventEmitter(), { resumed: 0, resume: () => void request.resumed++ });
  let ends = 0;
  linger(request as unknown as IncomingMessage, clock, () => void ends++);
  return { clock, request, ends: () => ends };
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
