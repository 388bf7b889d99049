// Patterns that match nothing, and what may have been meant.
import { findIdlePatterns } from '../../../src/servers/idle-patterns.js';

const BACKENDS = ['tickets', 'files'];
const TOOLS = [
  { backend: 'tickets', name: 'search_issues' },
  { backend: 'tickets', name: 'get-env' },
  { backend: 'files', name: 'readFile' },
  { backend: 'files', name: 'get-env' },
];
const idle = (include: string[], exclude: string[] = [], tools = TOOLS) =>
  findIdlePatterns({ include, exclude }, BACKENDS, tools);

it('finds them in both lists, once each, and counts one whose tools are excluded as used', () => {
  expect(idle(['*', 'get-*', 'zzzzzz', 'zzzzzz'], ['get-env', 'tickets__x?y', 'files__*'])).toEqual([
    { list: 'include', pattern: 'zzzzzz', suggestion: undefined },
    { list: 'exclude', pattern: 'tickets__x?y', suggestion: undefined },
  ]);
  expect(idle(['*'], [], [])).toEqual([]);
});

it.each([
  ['serch_issues', 'search_issues'],
  ['search-issues', 'search_issues'],
  ['Search_Issues', 'search_issues'],
  // Unprefixed, prefixed with something else, and prefixed in another way.
  ['files__search_issues', 'tickets__search_issues'],
  ['jira__search_issues', 'tickets__search_issues'],
  ['ticket__search_issues', 'tickets__search_issues'],
  ['tickets.search_issues', 'tickets__search_issues'],
  ['tickets/search_issues', 'tickets__search_issues'],
  ['tickets_search_issues', 'tickets__search_issues'],
  ['tikets__*', 'tickets__*'],
  ['files__search_*', 'tickets__search_*'],
  ['READFILE*', 'readFile'],
  ['weather__*', undefined],
  ['entirely-else', undefined],
  [`search_issues${'x'.repeat(100)}`, undefined],
])('%s: did you mean %s?', (pattern, suggestion) => {
  expect(idle([pattern])).toEqual([{ list: 'include', pattern, suggestion }]);
});

it('looks at the own filters of backends, which see own names alone', () => {
  const own = new Map([
    ['tickets', { include: ['search_*', 'tickets__get-env'], exclude: ['get_env', 'readFile'] }],
    ['files', { include: ['*'], exclude: ['tickets__get-env', 'zzzzzz*'] }],
  ]);
  expect(findIdlePatterns({ include: ['*'], exclude: [], own }, BACKENDS, TOOLS)).toEqual([
    { backend: 'tickets', list: 'include', pattern: 'tickets__get-env', suggestion: 'get-env' },
    { backend: 'tickets', list: 'exclude', pattern: 'get_env', suggestion: 'get-env' },
    { backend: 'tickets', list: 'exclude', pattern: 'readFile', suggestion: undefined },
    { backend: 'files', list: 'exclude', pattern: 'tickets__get-env', suggestion: undefined },
    { backend: 'files', list: 'exclude', pattern: 'zzzzzz*', suggestion: undefined },
  ]);
});

it('what it suggests matches', () => {
  for (const { suggestion = '' } of idle(['tikets__*', 'files__search_*', 'READFILE*', 'tickets.search_issues']))
    expect(idle([suggestion])).toEqual([]);
});

it('takes bounded time for as many tools as a list may have', () => {
  const many = Array.from({ length: 10_000 }, (_, i) => ({
    backend: 'tickets',
    name: `${'n'.repeat(i % 2 ? 60 : 1000)}${i}`,
  }));
  const startedMs = performance.now();
  idle(['m'.repeat(60), 'o'.repeat(64)], ['*m*m*m*m'], many);
  expect(performance.now() - startedMs).toBeLessThan(10_000);
});

it('suggests what is near while that is cheap: many patterns against many long names hold up nobody', () => {
  const tools = Array.from({ length: 2000 }, (_, i) => ({
    backend: 'b',
    name: `get_the_current_state_of_the_remote_thing_number_${i}_v2`,
  }));
  const include = Array.from({ length: 100 }, (_, i) => `get_teh_curent_state_of_some_remote_things_numbers_x${i}_v3`);
  const startedMs = performance.now();
  const found = idle(include, [], tools);
  expect(performance.now() - startedMs).toBeLessThan(3000);
  expect(found).toHaveLength(100);
  expect(found[0]?.suggestion).toBe('get_the_current_state_of_the_remote_thing_number_0_v2');
});
