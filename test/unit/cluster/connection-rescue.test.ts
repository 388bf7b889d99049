// Connections that nobody takes wait for a worker, and not without a bound.
import type { Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import { ConnectionRescue } from '../../../src/cluster/connection-rescue.js';

/** What the rescue sees of a worker process. */
class FakeWorker extends EventEmitter {
  readonly sent: unknown[] = [];
  readonly process = Object.assign(new EventEmitter(), {
    send: (_message: unknown, handle: unknown) => this.sent.push(handle) > 0,
  });
  isConnected = () => true;
}

const handOver = (worker: FakeWorker, seq: number, handle: object) =>
  (worker.process.send as (...args: unknown[]) => boolean)({ cmd: 'NODE_CLUSTER', act: 'newconn', seq }, handle);

test('what a dead worker had not taken goes to the next one, up to a bound; the rest is closed', () => {
  const rescue = new ConnectionRescue();
  const dying = new FakeWorker();
  rescue.watch(dying as unknown as Worker);
  let closed = 0;
  const handles = Array.from({ length: 1100 }, () => ({ close: () => closed++ }));
  for (const [seq, handle] of handles.entries()) handOver(dying, seq, handle);
  dying.process.emit('close');
  expect(closed).toBe(1100 - 1024);

  const next = new FakeWorker();
  rescue.watch(next as unknown as Worker);
  next.emit('listening');
  expect(next.sent).toEqual(handles.slice(0, 1024));
  rescue.close();
  expect(closed).toBe(1100 - 1024);
});
