// The breaker alone: what opens it, what it lets through, when it probes, what closes it.
import fc from 'fast-check';
import { Breaker, type Cause, type ProbeOutcome } from '../../../src/backends/health/breaker.js';

const REFUSED: Cause = { reason: 'refused', blocks: 'all' };
const DENIED: Cause = { reason: 'http_401', blocks: 'openings' };
const FULL: Cause = { reason: 'http_429', blocks: 'nothing' };

function make(random = () => 0.5) {
  return new Breaker({ random });
}

function opened(cause: Cause, nowMs = 0): Breaker {
  const breaker = make();
  for (let i = 0; i < 3; i++) breaker.failed(cause, nowMs);
  expect(breaker.state).toBe('down');
  return breaker;
}

test('three failures in a row open it, a success in between starts the count anew', () => {
  const breaker = make();
  breaker.failed(REFUSED, 0);
  breaker.failed(REFUSED, 1);
  expect(breaker.state).toBe('degraded');
  breaker.succeeded();
  breaker.failed(REFUSED, 2);
  breaker.failed(REFUSED, 3);
  expect([breaker.state, breaker.failures]).toEqual(['degraded', 2]);
  breaker.failed(REFUSED, 4);
  expect(breaker.state).toBe('down');
});

test('without a connection nothing gets through; refused openings leave open sessions alone', () => {
  expect(opened(REFUSED).refusal(true)).toBe(REFUSED);
  expect(opened(REFUSED).refusal(false)).toBe(REFUSED);
  expect(opened(DENIED).refusal(true)).toBeUndefined();
  expect(opened(DENIED).refusal(false)).toBe(DENIED);
});

test('a backend that has no room opens nothing, however often it says so, but is probed', () => {
  const breaker = make();
  for (let i = 0; i < 10; i++) breaker.failed(FULL, i);
  expect(breaker.state).toBe('degraded');
  expect(breaker.refusal(false)).toBeUndefined();
  expect(breaker.nextProbeMs).toBeDefined();
});

test('down, and then it answers that it has no room: open sessions work again, openings wait for a probe', () => {
  const breaker = opened(REFUSED);
  expect(breaker.beginProbe(2000)).toBe(true);
  breaker.endProbe(FULL, 2000);
  expect(breaker.refusal(true)).toBeUndefined();
  expect(breaker.refusal(false)?.reason).toBe('http_429');
});

test('an answered call speaks for the connection if it left after the failure, and never for openings', () => {
  const breaker = opened(REFUSED, 100);
  breaker.answered(99);
  expect(breaker.state).toBe('down');
  breaker.answered(101);
  expect(breaker.state).toBe('up');
  const denied = opened(DENIED, 100);
  denied.answered(101);
  expect(denied.state).toBe('down');
});

test('probes back off from 1 s, doubling, to 30 s', () => {
  const breaker = opened(REFUSED);
  const delays: number[] = [];
  let nowMs = 0;
  for (let i = 0; i < 8; i++) {
    delays.push((breaker.nextProbeMs as number) - nowMs);
    nowMs = breaker.nextProbeMs as number;
    expect(breaker.beginProbe(nowMs)).toBe(true);
    breaker.endProbe(REFUSED, nowMs);
  }
  expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test('a probe that says nothing is repeated after the same delay', () => {
  const breaker = opened(REFUSED);
  expect(breaker.beginProbe(1000)).toBe(true);
  breaker.endProbe('void', 1000);
  expect(breaker.nextProbeMs).toBe(2000);
});

test('another worker that reached it makes the next probe due soon, if all is not well here', () => {
  const breaker = opened(REFUSED);
  breaker.hurry(10, 200);
  expect(breaker.nextProbeMs).toBe(110);
  const well = make();
  well.succeeded();
  well.hurry(10, 200);
  expect(well.nextProbeMs).toBeUndefined();
});

test('a doubtful failure asks for one probe and changes nothing else; not again within 30 s', () => {
  const breaker = make();
  breaker.succeeded();
  breaker.verify(0);
  expect([breaker.state, breaker.nextProbeMs]).toEqual(['up', 1000]);
  expect(breaker.beginProbe(1000)).toBe(true);
  breaker.endProbe('opened', 1000);
  breaker.verify(20_000);
  expect(breaker.nextProbeMs).toBeUndefined();
  breaker.verify(30_000);
  expect(breaker.nextProbeMs).toBe(31_000);
});

// --- whatever happens in whatever order

type Step =
  | { readonly kind: 'failed'; readonly cause: Cause }
  | { readonly kind: 'succeeded' | 'begin' | 'hurry' | 'verify' }
  | { readonly kind: 'answered'; readonly agoMs: number }
  | { readonly kind: 'end'; readonly outcome: ProbeOutcome }
  | { readonly kind: 'wait'; readonly ms: number };

const cause = fc.constantFrom(REFUSED, DENIED, FULL);
const step: fc.Arbitrary<Step> = fc.oneof(
  cause.map((c) => ({ kind: 'failed' as const, cause: c })),
  fc.constantFrom('succeeded' as const, 'begin' as const, 'hurry' as const, 'verify' as const).map((kind) => ({ kind })),
  fc.nat(5000).map((agoMs) => ({ kind: 'answered' as const, agoMs })),
  fc.oneof(cause, fc.constantFrom('opened' as const, 'void' as const)).map((outcome) => ({ kind: 'end' as const, outcome })),
  fc.nat(40_000).map((ms) => ({ kind: 'wait' as const, ms })),
);

test('always: down only after three strikes, a probe is due or runs while all is not well, one at a time, and it is never far', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (steps, chance) => {
      const breaker = make(() => chance);
      let nowMs = 0;
      let isProbing = false;
      let strikes = 0;
      for (const one of steps) {
        const before = breaker.state;
        switch (one.kind) {
          case 'wait':
            nowMs += one.ms;
            break;
          case 'failed':
            if (one.cause !== FULL) strikes++;
            breaker.failed(one.cause, nowMs);
            break;
          case 'succeeded':
            breaker.succeeded();
            break;
          case 'answered':
            breaker.answered(nowMs - one.agoMs);
            break;
          case 'hurry':
            breaker.hurry(nowMs, 200);
            break;
          case 'verify':
            breaker.verify(nowMs);
            break;
          case 'begin': {
            const due = breaker.nextProbeMs;
            const began = breaker.beginProbe(nowMs);
            expect(began).toBe(!isProbing && due !== undefined && due <= nowMs);
            isProbing ||= began;
            break;
          }
          case 'end':
            if (!isProbing) break;
            isProbing = false;
            if (typeof one.outcome === 'object' && one.outcome !== FULL) strikes++;
            breaker.endProbe(one.outcome, nowMs);
            break;
        }
        if (breaker.state === 'up') strikes = 0;
        if (breaker.state === 'down' && before !== 'down') expect(strikes).toBeGreaterThanOrEqual(3);
        if (before === 'down' && breaker.state !== 'down') expect(breaker.state).toBe('up');
        expect(breaker.cause !== undefined).toBe(breaker.state === 'degraded' || breaker.state === 'down');
        if (breaker.refusal(false)) expect(breaker.state).toBe('down');
        // It comes back by itself: whoever is not well has a probe under way, or ahead.
        if (breaker.cause) expect(isProbing || breaker.nextProbeMs !== undefined).toBe(true);
        if (breaker.nextProbeMs !== undefined) expect(breaker.nextProbeMs - nowMs).toBeLessThanOrEqual(30_000);
      }
    }),
    { numRuns: 500 },
  );
});
