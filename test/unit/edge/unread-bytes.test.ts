// Connections whose clients do not read: when they are closed, and what all of them may hold.
import { EventEmitter } from 'node:events';
import { UnreadBytes } from '../../../src/edge/unread-bytes.js';
import { FakeClock } from '../../support/fake-clock.js';

const STALL_MS = 60_000;

class FakeSocket extends EventEmitter {
  bytesWritten = 0;
  writableLength = 0;
  _handle: { writeQueueSize: number } | undefined = { writeQueueSize: 0 };
  destroyed = false;

  /** One write, of which the kernel takes nothing yet. */
  write(bytes: number): void {
    this.bytesWritten += bytes;
    this.writableLength += bytes;
    if (this._handle) this._handle.writeQueueSize ||= bytes;
  }

  destroy(): this {
    this.destroyed = true;
    this.emit('close');
    return this;
  }
}

function setUp(maxBytes?: number) {
  const clock = new FakeClock();
  const cut: string[] = [];
  const unread = new UnreadBytes({
    clock,
    maxStallMs: () => STALL_MS,
    onCut: (reason, bytes) => void cut.push(`${reason} ${bytes}`),
    ...(maxBytes !== undefined && { maxBytes }),
  });
  const connect = () => {
    const socket = new FakeSocket();
    unread.watch(socket as never);
    return socket;
  };
  return { clock, cut, unread, connect };
}

test('a connection on which nothing moves for a minute is closed; quiet ones are left alone', () => {
  const { clock, cut, unread, connect } = setUp();
  const [stalled, quiet] = [connect(), connect()];
  stalled.write(100);
  clock.advance(STALL_MS);
  expect(cut).toEqual([]);
  clock.advance(3000);
  expect(cut).toEqual(['stalled 100']);
  expect([stalled.destroyed, quiet.destroyed, unread.size]).toEqual([true, false, 1]);
  quiet.emit('close');
  clock.advance(1000);
  expect(clock.pendingTimers).toBe(0);
});

test('one that moves is left alone, though its one write is never through', () => {
  const { clock, cut, connect } = setUp();
  const slow = connect();
  slow.write(1_000_000);
  for (let n = 0; n < 20; n++) {
    clock.advance(STALL_MS - 2000);
    (slow._handle as { writeQueueSize: number }).writeQueueSize -= 10;
    // Whatever waits behind it is no movement.
    slow.write(10);
  }
  expect(cut).toEqual([]);
  clock.advance(STALL_MS + 3000);
  expect(cut).toHaveLength(1);
});

test('where node tells nothing of the write under way, whole writes count', () => {
  const { clock, cut, connect } = setUp();
  const slow = connect();
  slow._handle = undefined;
  for (let n = 0; n < 5; n++) {
    slow.write(100);
    clock.advance(STALL_MS - 2000);
    slow.writableLength = 0;
  }
  expect(cut).toEqual([]);
});

test("time in which this process was stopped is nobody's fault", () => {
  const { clock, cut, connect } = setUp();
  connect().write(100);
  clock.advance(2000);
  clock.jump(10 * STALL_MS);
  clock.advance(2000);
  expect(cut).toEqual([]);
});

test('all together hold no more than the bound: those go that have not moved for longest, then the largest', () => {
  const { clock, cut, connect } = setUp(1000);
  const old = connect();
  old.write(300);
  clock.advance(5000);
  const [small, large, moves] = [connect(), connect(), connect()];
  small.write(200);
  large.write(400);
  moves.write(500);
  clock.advance(1000);
  expect(cut).toEqual(['memory 300', 'memory 500']);
  expect([small.destroyed, large.destroyed]).toEqual([false, false]);
});
