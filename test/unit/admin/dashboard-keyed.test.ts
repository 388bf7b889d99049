// Lists of the dashboard become others without moving what can stay: an element that is moved loses focus.
import fc from 'fast-check';
import { planKeyed } from '../../../src/admin/dashboard/keyed.js';

/** What `insertBefore` and `remove` make of it. */
function apply(now: readonly string[], wanted: readonly string[]): string[] {
  const { removed, placed } = planKeyed(now, wanted);
  const list = now.filter((key) => !removed.includes(key));
  for (const { key, before, isNew } of placed) {
    const at = list.indexOf(key);
    expect(at >= 0).toBe(!isNew);
    if (at >= 0) list.splice(at, 1);
    list.splice(before === undefined ? list.length : list.indexOf(before), 0, key);
  }
  return list;
}

const keys = fc.uniqueArray(fc.constantFrom(...'abcdefghijklmnop'), { maxLength: 16 });

test('any list becomes any other', () => {
  fc.assert(fc.property(keys, keys, (now, wanted) => expect(apply(now, wanted)).toEqual(wanted)));
});

test('what keeps its order is not touched, whatever comes and goes around it', () => {
  fc.assert(
    fc.property(keys, fc.func(fc.boolean()), fc.func(fc.boolean()), (all, isNow, isWanted) => {
      const now = all.filter(isNow);
      const { placed } = planKeyed(now, all.filter(isWanted));
      expect(placed.filter(({ isNew }) => !isNew)).toEqual([]);
    }),
  );
});

test('one that goes to the end is the only one that moves', () => {
  const { removed, placed } = planKeyed(['a', 'b', 'c', 'd'], ['b', 'c', 'd', 'a']);
  expect([removed, placed]).toEqual([[], [{ key: 'a', before: undefined, isNew: false }]]);
});
