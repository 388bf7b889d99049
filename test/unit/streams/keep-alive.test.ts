// One ticker for every open stream.
import { KeepAlive } from '../../../src/streams/keep-alive.js';
import { FakeClock } from '../../support/fake-clock.js';

const makeItem = () => {
  const item = { told: 0, nextCommentMs: 0, keepAlive: () => void item.told++ };
  return item;
};

it('tells an item after its first time, then every 15 s', () => {
  const clock = new FakeClock();
  const keepAlive = new KeepAlive(clock);
  const item = makeItem();
  keepAlive.add(item, 10_000);
  clock.advance(9_999);
  expect(item.told).toBe(0);
  clock.advance(1);
  expect(item.told).toBe(1);
  clock.advance(14_999);
  expect(item.told).toBe(1);
  clock.advance(1);
  expect(item.told).toBe(2);
});

it('needs one timer for any number of items', () => {
  const clock = new FakeClock();
  const keepAlive = new KeepAlive(clock);
  for (let n = 0; n < 100; n++) keepAlive.add(makeItem());
  expect(keepAlive.size).toBe(100);
  expect(clock.pendingTimers).toBe(1);
  keepAlive.stop();
  expect(clock.pendingTimers).toBe(0);
  expect(keepAlive.size).toBe(0);
});

it('spreads what comes at once, none later than after 15 s', () => {
  const clock = new FakeClock();
  const keepAlive = new KeepAlive(clock);
  const items = Array.from({ length: 1000 }, makeItem);
  for (const item of items) keepAlive.add(item);
  let most = 0;
  for (let seconds = 0; seconds < 15; seconds++) {
    const before = items.filter(({ told }) => told > 0).length;
    clock.advance(1000);
    most = Math.max(most, items.filter(({ told }) => told > 0).length - before);
  }
  expect(items.every(({ told }) => told === 1)).toBe(true);
  expect(most).toBeLessThan(300);
});

it('forgets what was removed, also while it tells', () => {
  const clock = new FakeClock();
  const keepAlive = new KeepAlive(clock);
  const second = makeItem();
  const first = { nextCommentMs: 0, keepAlive: () => keepAlive.remove(second) };
  // Told in the opposite order.
  keepAlive.add(second, 1000);
  keepAlive.add(first, 1000);
  clock.advance(60_000);
  expect(second.told).toBe(0);
  keepAlive.remove(first);
  expect(keepAlive.size).toBe(0);
});
