import { PauseWatch } from '../../../src/lifecycle/pause-watch.js';
import { FakeClock } from '../../support/fake-clock.js';

const LONG_MS = 1000;

/** Time goes on and no timer runs until afterwards, as while a process is stopped. */
class StoppableClock extends FakeClock {
  #stoppedMs = 0;

  override monotonicMs(): number {
    return super.monotonicMs() + this.#stoppedMs;
  }

  override wallMs(): number {
    return super.wallMs() + this.#stoppedMs;
  }

  stop(ms: number): void {
    this.#stoppedMs += ms;
  }
}

describe('the watch for pauses of our own', () => {
  it('tells a pause from when it ended, before its own timer has run, and not for ever', () => {
    const clock = new StoppableClock();
    const watch = new PauseWatch(clock, LONG_MS);
    clock.advance(10_000);
    const beforeMs = clock.monotonicMs();
    expect(watch.pausedSince(0)).toBe(false);
    clock.stop(LONG_MS);
    expect(watch.pausedSince(beforeMs)).toBe(true);
    const afterMs = clock.monotonicMs();
    clock.advance(10_000);
    expect(watch.pausedSince(beforeMs)).toBe(true);
    expect(watch.pausedSince(afterMs + 1)).toBe(false);
  });

  it('takes a delay for running, and a machine whose monotonic clock stood still for paused', () => {
    const clock = new StoppableClock();
    const watch = new PauseWatch(clock, LONG_MS);
    for (let n = 0; n < 20; n++) {
      clock.stop(LONG_MS / 2);
      clock.advance(LONG_MS / 4);
    }
    expect(watch.pausedSince(0)).toBe(false);
    clock.stepWall(LONG_MS);
    expect(watch.pausedSince(0)).toBe(true);
  });

  it('leaves no timer behind', () => {
    const clock = new FakeClock();
    new PauseWatch(clock, LONG_MS).stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
