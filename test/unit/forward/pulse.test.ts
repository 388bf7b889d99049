// A silent peer is found within three periods; a pause of this process is not taken for one of the peer.
import { Pulse } from '../../../src/forward/pulse.js';
import type { Clock } from '../../../src/lifecycle/clock.js';

function start(isBusy: boolean) {
  let tick = () => {};
  const log: string[] = [];
  const clock = {
    every(_ms: number, run: () => void) {
      tick = run;
      return { cancel: () => log.push('stopped') };
    },
  } as Partial<Clock> as Clock;
  const pulse = new Pulse({
    clock,
    periodMs: 1000,
    isBusy: () => isBusy,
    ask: () => log.push('ask'),
    lost: () => log.push('lost'),
  });
  return {
    pulse,
    log,
    tick: (times = 1) => {
      for (let n = 0; n < times; n += 1) tick();
    },
  };
}

test('two unanswered periods lose the peer', () => {
  const { log, tick } = start(true);
  tick(2);
  expect(log).toEqual(['ask', 'ask']);
  tick();
  expect(log).toEqual(['ask', 'ask', 'lost']);
});

test('any byte is a sign of life', () => {
  const { pulse, log, tick } = start(true);
  for (let n = 0; n < 10; n += 1) {
    tick();
    pulse.heard();
  }
  expect(log).toEqual(Array(10).fill('ask'));
});

test('an idle connection is asked rarely, but once asked it has to answer', () => {
  const { pulse, log, tick } = start(false);
  tick(14);
  expect(log).toEqual([]);
  tick();
  expect(log).toEqual(['ask']);
  pulse.heard();
  tick(14);
  expect(log).toEqual(['ask']);
  tick(3);
  expect(log).toEqual(['ask', 'ask', 'ask', 'lost']);
});
