// Slow callers hold connections that others wait for.
import { PausedCalls } from '../../../src/backends/http/paused-calls.js';
import { FakeClock } from '../../support/fake-clock.js';

function setUp() {
  const clock = new FakeClock();
  const world = { waiting: 0 };
  const letGo: string[] = [];
  const paused = new PausedCalls(clock, () => world.waiting);
  const make = (name: string) => {
    const call = {
      letGo: () => {
        letGo.push(name);
        world.waiting--;
      },
    };
    paused.add(call);
    return call;
  };
  return { clock, world, letGo, paused, make };
}

test('nobody is given up while nobody waits', () => {
  const { clock, letGo, make } = setUp();
  make('a');
  clock.advance(600_000);
  expect(letGo).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});

test('as many as wait are given up, those first that have been slow for longest, none within its first second', () => {
  const { clock, world, letGo, paused, make } = setUp();
  make('a');
  make('b');
  clock.advance(5000);
  make('c');
  world.waiting = 1;
  paused.relieve();
  clock.advance(250);
  expect(letGo).toEqual(['a']);
  world.waiting = 2;
  paused.relieve();
  // Whoever was given up has a second to free his connection.
  clock.advance(999);
  expect(letGo).toEqual(['a']);
  clock.advance(251);
  expect(letGo).toEqual(['a', 'b', 'c']);
  clock.advance(250);
  expect(clock.pendingTimers).toBe(0);
});

test('who begins to be slow while others wait is given up after a second; who reads on is not', () => {
  const { clock, world, letGo, paused, make } = setUp();
  world.waiting = 5;
  const reads = make('reads');
  make('slow');
  clock.advance(500);
  paused.delete(reads);
  clock.advance(1000);
  expect(letGo).toEqual(['slow']);
  expect(paused.size).toBe(0);
  expect(clock.pendingTimers).toBe(0);
});
