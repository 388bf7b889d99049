// What the dashboard says, and that it says what clients call themselves as text.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ageOf,
  clientName,
  clockTime,
  count,
  duration,
  serverName,
  splitWorker,
  untilText,
  visible,
} from '../../../src/admin/dashboard/format.js';
import { figures, GONE_FOR_MS, inStableOrder, stateLine, withGone } from '../../../src/admin/dashboard/summary.js';

test.each([
  [0, '0 s'],
  [-5, '0 s'],
  [59.9, '59 s'],
  [60, '1 min'],
  [3599, '59 min'],
  [3600, '1 h'],
  [7500, '2 h 5 min'],
  [86_400, '1 d'],
  [200_000, '2 d 7 h'],
])('%d seconds are %s', (seconds, text) => expect(duration(seconds)).toBe(text));

test('moments that are not there are told as nothing', () => {
  expect([ageOf(null, 0), ageOf('never', 0), untilText(undefined, 0)]).toEqual(['', '', '']);
  expect(ageOf('1970-01-01T00:00:01Z', 62_000)).toBe('1 min');
  expect([untilText('1970-01-01T00:00:10Z', 2000), untilText('1970-01-01T00:00:01Z', 2000)]).toEqual(['in 8 s', 'now']);
});

test('numbers, servers, workers', () => {
  expect([count(1234567), count(null), count(0)]).toEqual(['1\u202f234\u202f567', '–', '0']);
  expect([serverName(''), serverName('support')]).toEqual(['/mcp', 'support']);
  expect([splitWorker('pod-2.Xy'), splitWorker('odd')]).toEqual([
    { name: 'pod-2', incarnation: '.Xy' },
    { name: 'odd', incarnation: '' },
  ]);
});

test('what cannot be seen in the text of a stranger is written out', () => {
  expect(visible('a\u202eb\u2066c\u200fd\u0000e\ufefff\nG\ud800')).toBe(
    'a\\u{202e}b\\u{2066}c\\u{200f}d\\u{0}e\\u{feff}f\\u{a}G\\u{d800}',
  );
  expect(visible('<b>äöü 日本 👍</b>')).toBe('<b>äöü 日本 👍</b>');
  expect(clientName({ name: 'x\u202e', version: '1' })).toBe('x\\u{202e} 1');
  expect([clientName({ name: null, version: null }), clientName(undefined)]).toEqual(['', '']);
});

test('no module writes markup, or takes text for code', () => {
  const directory = join(__dirname, '../../../src/admin/dashboard');
  const files = readdirSync(directory).filter((name) => name.endsWith('.js'));
  expect(files.length).toBeGreaterThan(10);
  for (const name of files) {
    const code = readFileSync(join(directory, name), 'utf8');
    expect([
      name,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc/.exec(code),
    ]).toEqual([name, null]);
  }
  const page = readFileSync(join(directory, 'index.html'), 'utf8');
  expect(page).not.toMatch(/\son\w+=|\sstyle=|<style|<script(?![^>]* src=)|https?:/);
});

const worker = (id: string, index: number, more: object = {}) => ({
  id,
  index,
  host: 'h',
  pod: 'p',
  started: '2026',
  sessions: 1,
  streams: 2,
  ...more,
});

test('a worker that vanishes is shown as gone for a while, beside its successor', () => {
  const first = withGone([], [worker('p-1.a', 1), worker('p-2.b', 2)], 1000);
  const then = withGone(first, [worker('p-1.c', 1, { started: '2027' }), worker('p-2.b', 2)], 2000);
  expect(then.map(({ id, goneMs }) => [id, goneMs])).toEqual([
    ['p-1.c', undefined],
    ['p-1.a', 2000],
    ['p-2.b', undefined],
  ]);
  expect(withGone(then, [worker('p-1.c', 1)], 2000 + GONE_FOR_MS - 1).map(({ id }) => id)).toContain('p-1.a');
  expect(withGone(then, [worker('p-1.c', 1)], 2000 + GONE_FOR_MS).map(({ id }) => id)).not.toContain('p-1.a');
});

test('sessions keep their places whatever order they are listed in', () => {
  const sessions = [{ ref: 'b', created: '2' }, { ref: 'z' }, { ref: 'a', created: '2' }, { ref: 'c', created: '1' }];
  const order = ['z', 'c', 'a', 'b'];
  expect(inStableOrder(sessions).map(({ ref }) => ref)).toEqual(order);
  expect(inStableOrder([...sessions].reverse()).map(({ ref }) => ref)).toEqual(order);
});

const figureOf = (data: object, wanted: string) => figures(data as never).find(({ key }) => key === wanted);

test('the figures say what is wrong', () => {
  const workers = [
    worker('a', 1, { answered: true }),
    worker('b', 2, { answered: false, draining: true, sessions: null, streams: null }),
  ];
  expect(figureOf({ workers }, 'workers')).toMatchObject({ value: '2', note: 'in 1 pod · 1 silent · 1 draining', kind: 'warn' });
  expect(figureOf({ workers }, 'streams')).toMatchObject({ value: '2' });
  expect(figureOf({ workers: [] }, 'workers')).toMatchObject({ value: '0', kind: 'bad' });
  const backends = [{ state: 'up' }, { state: 'down' }, { state: 'unknown' }];
  expect(figureOf({ backends }, 'backends')).toMatchObject({ value: '1 of 3', note: '1 down · 1 not used yet', kind: 'bad' });
  expect(figureOf({ redis: false }, 'redis')).toMatchObject({ value: 'away', kind: 'bad' });
  expect(figureOf({ teardowns: { failed: 2, waiting: 1, delayed: 3 } }, 'teardowns')).toMatchObject({
    value: '2',
    note: '4 to come',
    kind: 'warn',
  });
  // Nothing was ever answered.
  expect(figures({}).map(({ value }) => value)).toEqual(['–', '–', '–', '–', '–', '–']);
});

test('the line at the top says since when there is no answer, and what the API says', () => {
  const lastMs = new Date(2026, 0, 1, 14, 3, 9).getTime();
  expect(clockTime(lastMs)).toBe('14:03:09');
  expect(stateLine({ lastMs: undefined, failure: undefined }).kind).toBe('wait');
  expect(stateLine({ lastMs, failure: undefined })).toEqual({ kind: 'good', text: 'Live' });
  expect(stateLine({ lastMs, failure: { kind: 'silent', message: '', code: '' } }).text).toContain(
    'has not answered since 14:03:09',
  );
  expect(stateLine({ lastMs: undefined, failure: { kind: 'silent', message: '', code: '' } }).text).toContain('does not answer');
  const away = { kind: 'refused', message: 'Redis does not answer', code: 'REDIS_AWAY' };
  expect(stateLine({ lastMs, failure: away })).toEqual({
    kind: 'bad',
    text: 'Redis does not answer (REDIS_AWAY). Trying again by itself',
  });
});
