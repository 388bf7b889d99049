import { Deadlines } from '../../../src/backends/http/deadlines.js';
import type { Clock } from '../../../src/lifecycle/clock.js';

/** A clock that stands until it is moved; runs its periodic work at each step. */
class SteppedClock implements Clock {
  nowMs = 0;
  readonly periodic = new Set<() => void>();
  monotonicMs = () => this.nowMs;
  wallMs = () => this.nowMs;
  after = () => ({ cancel: () => undefined });
  every(_periodMs: number, run: () => void) {
    this.periodic.add(run);
    return { cancel: () => void this.periodic.delete(run) };
  }
  step(ms: number) {
    this.nowMs += ms;
    for (const run of [...this.periodic]) run();
  }
}

describe('the shared deadlines', () => {
  test('expire once, follow a changed deadline, and let the timer go when nothing is watched', () => {
    const clock = new SteppedClock();
    const deadlines = new Deadlines(clock);
    const expired: string[] = [];
    const entry = (name: string, deadlineMs: number) => ({ deadlineMs, expire: () => void expired.push(name) });
    const later = entry('later', 500);
    deadlines.add(entry('first', 100));
    deadlines.add(later);
    const gone = entry('gone', 100);
    deadlines.add(gone);
    deadlines.delete(gone);
    clock.step(50);
    expect(expired).toEqual([]);
    clock.step(50);
    expect(expired).toEqual(['first']);
    later.deadlineMs = 120;
    clock.step(50);
    clock.step(50);
    expect(expired).toEqual(['first', 'later']);
    expect(clock.periodic.size).toBe(0);
    deadlines.add(entry('again', 0));
    clock.step(50);
    expect(expired.at(-1)).toBe('again');
  });
});
