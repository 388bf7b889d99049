// How long a broken answer is asked for again, and when it is given up.
import { CallResumption } from '../../../src/backends/http/call-resumption.js';

test('a stream without an id cannot be resumed', () => {
  expect(new CallResumption().next(undefined, undefined)).toBeUndefined();
  expect(new CallResumption().next('', 10)).toBeUndefined();
});

test('the backend names the wait, but not none at all', () => {
  const waits = [undefined, 0, 300].map((retryMs) => new CallResumption().next('a', retryMs));
  expect(waits).toEqual([1000, 50, 300]);
});

test('three attempts without news are enough; news makes them three again', () => {
  const resumption = new CallResumption();
  const tryOften = (id: string) => [1, 2, 3, 4].map(() => resumption.next(id, 100));
  expect(tryOften('a')).toEqual([100, 100, 100, undefined]);
  expect(tryOften('b')).toEqual([100, 100, 100, undefined]);
  expect(resumption.from).toBe('b');
});

test('it waits from the end of one stream to the beginning of the next', () => {
  const own = new CallResumption();
  expect(own.isWaiting).toBe(false);
  own.next('a', undefined);
  expect(own.isWaiting).toBe(true);
  own.opened();
  expect(own.isWaiting).toBe(false);
  expect(new CallResumption('where an earlier owner was').isWaiting).toBe(true);
});

test('a reader that the backend still takes for alive is waited for, 20 s in all, and anew for each stream', () => {
  const resumption = new CallResumption('a');
  const waits: number[] = [];
  while (resumption.mayConflict) waits.push(resumption.conflicted());
  expect(waits).toEqual([250, 500, 1000, 2000, 4000, 4000, 4000, 4000]);
  resumption.opened();
  expect(resumption.mayConflict).toBe(true);
  expect(resumption.conflicted()).toBe(250);
});
