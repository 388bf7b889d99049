// Two lines in the log for each time of refusals, however many there are.
import { OVER_AFTER_MS, RefusalLog } from '../../../src/cluster/refusal-log.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { FakeClock } from '../../support/fake-clock.js';

const shed = (reason: string) => new GatewayError('OVERLOADED', { details: { reason } });

function setUp() {
  const clock = new FakeClock();
  const lines: string[] = [];
  const counts: Record<string, number> = {};
  const count = (...labels: string[]) => {
    counts[labels.join(' ')] = (counts[labels.join(' ')] ?? 0) + 1;
  };
  const warn = (fields: object, message: string) => void lines.push(`${message.split(':')[0]} ${JSON.stringify(fields)}`);
  const log = new RefusalLog(clock, { warn } as never, { refused: { inc: count }, shed: { inc: count } } as never);
  return { clock, lines, counts, log };
}

test('begins and ends are told once for each reason, with how many it concerned', () => {
  const { clock, lines, counts, log } = setUp();
  for (let n = 0; n < 100; n++) {
    log.note(shed('queue'));
    clock.advance(100);
  }
  log.note(shed('bodies'));
  expect(lines).toEqual(['overloaded {"reason":"queue"}', 'overloaded {"reason":"bodies"}']);
  clock.advance(2 * OVER_AFTER_MS);
  expect(lines.slice(2)).toEqual([
    'no longer overloaded {"reason":"queue","refused":100,"lastedMs":9900}',
    'no longer overloaded {"reason":"bodies","refused":1,"lastedMs":0}',
  ]);
  expect(counts).toEqual({ '503 OVERLOADED': 101, queue: 100, bodies: 1 });
  expect(clock.pendingTimers).toBe(0);
  log.note(shed('queue'));
  expect(lines).toHaveLength(5);
});

test('what is refused for other causes is counted and not told', () => {
  const { clock, lines, counts, log } = setUp();
  log.note(new GatewayError('UNAUTHENTICATED'));
  expect([lines, counts, clock.pendingTimers]).toEqual([[], { '401 UNAUTHENTICATED': 1 }, 0]);
});
