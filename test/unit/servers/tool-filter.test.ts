import fc from 'fast-check';
import { matchesGlob } from '../../../src/servers/glob.js';
import { allowsTool, isUnfiltered } from '../../../src/servers/tool-filter.js';

describe('matchesGlob', () => {
  it.each([
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['get-*', 'get-env', true],
    ['get-*', 'set-env', false],
    ['*env', 'get-env', true],
    ['g?t', 'get', true],
    ['g?t', 'gt', false],
    ['a*b*c', 'aXbYbZc', true],
    ['a.c', 'abc', false],
    ['[a]', 'a', false],
  ])('%s on %s: %s', (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected);
  });

  it('agrees with a regular expression', () => {
    const short = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 });
    fc.assert(
      fc.property(short, text, (pattern, name) => {
        const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
        expect(matchesGlob(pattern, name)).toBe(expression.test(name));
      }),
    );
  });

  it('takes polynomial time on what makes a regular expression explode', () => {
    expect(matchesGlob(`${'*a'.repeat(50)}b`, 'a'.repeat(5000))).toBe(false);
  });
});

describe('tool filter', () => {
  const tool = { backend: 'tickets', name: 'get-env' };
  it.each([
    ['everything', ['*'], [], true],
    ['not included', ['list-*'], [], false],
    ['own name', ['get-env'], [], true],
    ['name with backend', ['tickets__*'], [], true],
    ['name with another backend', ['other__*'], [], false],
    ['excluded by own name', ['*'], ['get-env'], false],
    ['excluded by name with backend', ['*'], ['tickets__get-env'], false],
    ['exclude wins over an exact include', ['get-env'], ['*'], false],
    ['nothing included', [], [], false],
  ])('%s', (_name, include, exclude, expected) => {
    expect(allowsTool({ include, exclude }, tool)).toBe(expected);
  });

  it.each([
    ['left by its backend', ['get-*'], [], true],
    ['left out by its backend', ['list-*'], [], false],
    ['excluded by its backend', ['*'], ['get-env'], false],
    ['named with the backend, which is no name of its own', ['tickets__get-env'], [], false],
    ['of a backend that leaves nothing', [], [], false],
  ])('a tool %s, whatever the server includes', (_name, include, exclude, expected) => {
    const filter = { include: ['*'], exclude: [], own: new Map([['tickets', { include, exclude }]]) };
    expect(allowsTool(filter, tool)).toBe(expected);
    expect(allowsTool(filter, { ...tool, backend: 'other' })).toBe(true);
    expect(allowsTool({ ...filter, exclude: ['get-env'] }, tool)).toBe(false);
    expect(isUnfiltered(filter)).toBe(false);
  });
});
