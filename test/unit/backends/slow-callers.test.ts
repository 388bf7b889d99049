// A caller that does not read shares its channel with others: how long they wait for it.
import type { BackendCall, CallSink } from '../../../src/backends/backend.js';
import { Dialogue } from '../../../src/backends/channel/dialogue.js';
import { FakeClock } from '../../support/fake-clock.js';

const STALL_MS = 500;

function setUp() {
  const clock = new FakeClock();
  const steps: string[] = [];
  const dialogue = new Dialogue({
    backend: 'a',
    clock,
    wire: {
      send: (outgoing) => {
        outgoing.onWritten();
        return true;
      },
      say: () => Promise.resolve(undefined),
      pause: () => void steps.push('pause'),
      resume: () => void steps.push('resume'),
    },
    host: { sessionRef: 'ref', mayAct: () => true } as never,
    onStray: () => undefined,
  });
  let id = 0;
  const call = (sink: Partial<CallSink> & { takes: boolean }) => {
    const own = ++id;
    const whole = { message: () => sink.takes, fail: () => undefined, resume: undefined, ...sink } as unknown as CallSink;
    const message = { jsonrpc: '2.0', id: own, method: 'tools/call', params: { _meta: { progressToken: own } } } as const;
    const running = dialogue.call(
      { message, bytes: JSON.stringify(message), headers: {}, deadlineMs: 1e9, sink: whole } as BackendCall,
      60_000,
    );
    const say = (method: string, more: object) => dialogue.take(Buffer.from(JSON.stringify({ jsonrpc: '2.0', method, ...more })));
    return {
      sink: whole,
      running,
      progress: () => say('notifications/progress', { params: { progressToken: own, progress: 1 } }),
      answer: () => dialogue.take(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: own, result: {} }))),
    };
  };
  return { clock, steps, call };
}

test('the channel waits for a slow caller for half a second, and not again until he has taken everything', () => {
  const { clock, steps, call } = setUp();
  const slow = call({ takes: false });
  slow.progress();
  slow.progress();
  expect(steps).toEqual(['pause']);
  clock.advance(STALL_MS - 1);
  expect(steps).toEqual(['pause']);
  clock.advance(1);
  expect(steps).toEqual(['pause', 'resume']);
  slow.progress();
  clock.advance(60_000 - 2 * STALL_MS);
  expect(steps).toHaveLength(2);
  slow.sink.resume?.();
  slow.progress();
  expect(steps).toEqual(['pause', 'resume', 'pause']);
  slow.sink.resume?.();
  clock.advance(STALL_MS);
  expect(steps).toEqual(['pause', 'resume', 'pause', 'resume']);
});

test('it does not wait while there is room for what he has not read', () => {
  const { steps, call } = setUp();
  const sink = { takes: false, isNearBound: false };
  const slow = call(sink);
  slow.progress();
  expect(steps).toEqual([]);
  Object.assign(slow.sink, { isNearBound: true });
  slow.progress();
  expect(steps).toEqual(['pause']);
});

test('it waits until every slow caller reads or has had his time, and no longer than one that ends', () => {
  const { clock, steps, call } = setUp();
  const [one, two] = [call({ takes: false }), call({ takes: false })];
  one.progress();
  // What had been read from the channel when it was paused.
  two.progress();
  one.sink.resume?.();
  expect(steps).toEqual(['pause', 'pause']);
  two.answer();
  expect(steps).toEqual(['pause', 'pause', 'resume']);
  clock.advance(60_000);
  expect(steps).toHaveLength(3);
  expect(clock.pendingTimers).toBe(0);
});
