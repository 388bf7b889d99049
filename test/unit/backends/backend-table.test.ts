// The backends in force, and how long former ones stay.
import type { Backend } from '../../../src/backends/backend.js';
import { BackendTable } from '../../../src/backends/backend-table.js';

function backend(name: string) {
  const made = { name, closed: 0, lastInfo: undefined, end: undefined, close: async () => void made.closed++ };
  return made as unknown as Backend & { closed: number };
}

it('closes what was replaced once no session uses it, and not before it has been left alone for a while', async () => {
  const [kept, old] = [backend('a'), backend('b')];
  const table = new BackendTable(
    new Map([
      ['a', kept],
      ['b', old],
    ]),
  );
  const now = backend('b');
  table.replace(
    new Map([
      ['a', kept],
      ['b', now],
    ]),
    100,
  );
  expect(table.get('b')).toBe(now);
  await table.closeUnused(new Set(), 99);
  await table.closeUnused(new Set([old]), 100);
  expect(old.closed).toBe(0);
  await table.closeUnused(new Set([kept]), 100);
  expect([old.closed, table.hasFormer]).toEqual([1, false]);
  await table.close();
  expect([kept.closed, now.closed, old.closed]).toEqual([1, 1, 1]);
});
