import fc from 'fast-check';
import { decideNames } from '../../../src/servers/decide-names.js';

const tool = (backend: string, name: string) => ({ backend, name });

describe('decideNames', () => {
  it('keeps unique names and prefixes all that collide', () => {
    expect(decideNames([tool('a', 'x'), tool('a', 'only'), tool('b', 'x')], 'auto')).toEqual(['a__x', 'only', 'b__x']);
  });

  it('prefixes everything with always', () => {
    expect(decideNames([tool('a', 'x'), tool('b', 'y')], 'always')).toEqual(['a__x', 'b__y']);
  });

  it('lets the first have the name with never', () => {
    expect(decideNames([tool('a', 'x'), tool('b', 'x'), tool('b', 'y')], 'never')).toEqual(['x', undefined, 'y']);
  });

  it('lets no backend take over a name that we make for another', () => {
    expect(decideNames([tool('c', 'a__x'), tool('a', 'x'), tool('b', 'x')], 'auto')).toEqual(['c__a__x', 'a__x', 'b__x']);
  });

  it('tells apart what prefixes alone cannot', () => {
    const names = decideNames([tool('a', 'b__x'), tool('a__b', 'x'), tool('c', 'b__x'), tool('c', 'x')], 'auto');
    expect(names.slice(2)).toEqual(['c__b__x', 'c__x']);
    expect(names[0]).toMatch(/^a__b__x_[0-9a-f]{16}$/);
    expect(names[1]).toMatch(/^a__b__x_[0-9a-f]{16}$/);
    expect(names[0]).not.toBe(names[1]);
  });

  it('cuts what a prefix would make too long, and keeps it unique by a hash', () => {
    const long = 'x'.repeat(125);
    const [first, second] = decideNames([tool('aa', `${long}1`), tool('aa', `${long}2`)], 'always') as string[];
    expect(first).toHaveLength(128);
    expect(first).toMatch(/^aa__x+_[0-9a-f]{8}$/);
    expect(second).not.toBe(first);
  });

  it('leaves own names as the backend gave them, but makes none with foreign characters', () => {
    expect(decideNames([tool('a', 'get weather')], 'auto')).toEqual(['get weather']);
    const [name] = decideNames([tool('a', 'wetter/für 🌍')], 'always') as string[];
    expect(name).toMatch(/^a__wetter_f_r___[0-9a-f]{8}$/);
  });

  const backends = fc.constantFrom('a', 'b', 'a__b', 'c');
  const names = fc.constantFrom('x', 'y', 'b__x', 'a__x', 'a__b__x', 'c__a__x', 'x y', 'x'.repeat(127), 'x'.repeat(140));
  const selections = fc.uniqueArray(fc.record({ backend: backends, name: names }), {
    selector: (t) => `${t.backend} ${t.name}`,
    maxLength: 24,
  });

  it('makes every name different, whatever the backends call their tools', () => {
    fc.assert(
      fc.property(selections, fc.constantFrom('auto' as const, 'always' as const), (selection, prefix) => {
        const decided = decideNames(selection, prefix);
        expect(decided).not.toContain(undefined);
        expect(new Set(decided).size).toBe(selection.length);
        selection.forEach(({ name }, index) => {
          if (decided[index] !== name) expect(decided[index]).toMatch(/^[A-Za-z0-9_.-]{1,128}$/);
        });
      }),
    );
  });

  it('decides the same in any order', () => {
    fc.assert(
      fc.property(selections, (selection) => {
        const forward = decideNames(selection, 'auto');
        expect(decideNames([...selection].reverse(), 'auto').reverse()).toEqual(forward);
      }),
    );
  });
});
