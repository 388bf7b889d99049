// Tables of the CLI: aligned, and harmless to a terminal whatever a client calls itself.
import { ageText, cellText, formatFacts, formatTable, spanText } from '../../../src/cli/table.js';

test('columns are aligned, and nothing hangs behind the last one', () => {
  expect(
    formatTable(
      ['A', 'LONG'],
      [
        ['value', 1],
        [null, ['x', 'y']],
      ],
    ),
  ).toBe('A      LONG\nvalue  1\n-      x, y\n');
  expect(formatTable(['A', 'B'], [])).toBe('A  B\n');
  expect(formatFacts({ a: 1, long: '' })).toBe('a     1\nlong  -\n');
});

test('wide characters take two columns, combining ones none', () => {
  const rows = [
    ['日本', 1],
    ['e\u0301x', 2],
    ['👍', 3],
  ];
  expect(formatTable(['A', 'B'], rows)).toBe('A     B\n日本  1\ne\u0301x    2\n👍    3\n');
});

test('control characters, line breaks and those that turn text round do not get through', () => {
  expect(cellText('\u001b[2Jevil\nline\u202e')).toBe('\ufffd[2Jevil\ufffdline\ufffd');
  expect(cellText(['\u0007'])).toBe('\ufffd');
});

test.each([
  [0, '0s'],
  [119, '119s'],
  [120, '2m'],
  [7200, '2h'],
  [172_800, '2d'],
])('%i s is %s', (seconds, text) => expect(spanText(seconds)).toBe(text));

test('an age is never negative, and unknown where there is no time', () => {
  const now = Date.parse('2026-01-01T00:01:00Z');
  expect(ageText('2026-01-01T00:00:00Z', now)).toBe('60s');
  expect(ageText('2026-01-01T00:02:00Z', now)).toBe('0s');
  expect([ageText(null, now), ageText('soon', now)]).toEqual(['-', '-']);
});
