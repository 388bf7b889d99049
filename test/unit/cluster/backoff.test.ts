import { Backoff } from '../../../src/cluster/backoff.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('back-off', () => {
  it('doubles from 100 ms to 10 s', () => {
    const backoff = new Backoff(new FakeClock());
    const delays = Array.from({ length: 9 }, () => backoff.nextMs());
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  });

  it('begins again after a life of 30 s, not after a shorter one', () => {
    const clock = new FakeClock();
    const backoff = new Backoff(clock);
    backoff.nextMs();
    backoff.began();
    clock.advance(29_999);
    expect(backoff.nextMs()).toBe(200);
    backoff.began();
    clock.advance(30_000);
    expect(backoff.nextMs()).toBe(100);
  });
});
