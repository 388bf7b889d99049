// Bag and IdTable must behave as Set and Map do, whatever comes and goes.
import fc from 'fast-check';
import { Bag } from '../../../src/lifecycle/bag.js';
import { IdTable } from '../../../src/lifecycle/id-table.js';

interface Entry {
  readonly n: number;
}

test('a bag holds what a set would hold', () => {
  const step = fc.tuple(fc.constantFrom('add', 'delete'), fc.nat(20));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const entries: Entry[] = Array.from({ length: 21 }, (_, n) => ({ n }));
      const bag = new Bag<Entry>('test');
      const set = new Set<Entry>();
      for (const [what, n] of steps) {
        const entry = entries[n] as Entry;
        if (what === 'add') {
          bag.add(entry);
          set.add(entry);
        } else expect(bag.delete(entry)).toBe(set.delete(entry));
      }
      expect(bag.size).toBe(set.size);
      expect(new Set(bag.toArray())).toEqual(set);
      for (const entry of entries) expect(bag.find((one) => one === entry)).toBe(set.has(entry) ? entry : undefined);
    }),
  );
});

test('an entry can be in one bag of each name, and leaves each by itself', () => {
  const [a, b] = [new Bag<object>('a'), new Bag<object>('b')];
  const entry = {};
  a.add(entry);
  b.add(entry);
  expect(a.delete(entry)).toBe(true);
  expect(a.delete(entry)).toBe(false);
  expect([a.size, b.size]).toEqual([0, 1]);
});

test('every entry is visited although entries leave on the way', () => {
  const entries = Array.from({ length: 10 }, (_, n) => ({ n }));
  const bag = new Bag<Entry>('test');
  for (const entry of entries) bag.add(entry);
  const seen = new Set<number>();
  bag.forEach((entry) => {
    seen.add(entry.n);
    bag.delete(entry);
  });
  expect([...seen].sort((x, y) => x - y)).toEqual(entries.map(({ n }) => n));
  expect(bag.size).toBe(0);
  bag.clear();
});

test('a table by id holds what a map would hold', () => {
  // Few different ids that share places, so that entries collide and move up.
  const id = fc.oneof(
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1, max: 8 }).map((n) => n * 64),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('set', 'set', 'delete'), id, fc.nat()), { maxLength: 400 }), (steps) => {
      const table = new IdTable<number>();
      const map = new Map<number, number>();
      for (const [what, key, value] of steps) {
        if (what === 'set') {
          table.set(key, value);
          map.set(key, value);
        } else expect(table.delete(key)).toBe(map.delete(key));
        expect(table.get(key)).toBe(map.get(key));
      }
      expect(table.size).toBe(map.size);
      expect(table.values().sort()).toEqual([...map.values()].sort());
      for (const [key, value] of map) expect(table.get(key)).toBe(value);
    }),
  );
});
