import { MergedList } from '../../../src/servers/merged-list.js';
import { tool } from './catalogs.js';

const list = (...names: string[]) =>
  new MergedList(
    'tools',
    names.map((name) => tool(name)),
  );
const nextCursor = (from: MergedList, pageSize: number): string => {
  const page = from.page(undefined, pageSize);
  return page.kind === 'page' ? JSON.parse(page.json).nextCursor : '';
};

describe('MergedList', () => {
  it('is an array even when empty, and has no cursor at the end', () => {
    expect(list().page(undefined, 10)).toEqual({ kind: 'page', json: '{"tools":[]}' });
    expect(nextCursor(list('a', 'b'), 2)).toBeUndefined();
  });

  it('takes a null cursor for none', () => {
    expect(list('a').page(null, 10).kind).toBe('page');
  });

  it('keeps the text of a page', () => {
    const one = list('a', 'b', 'c');
    const cursor = nextCursor(one, 2);
    expect(one.page(cursor, 2)).toBe(one.page(cursor, 2));
  });

  it('accepts a cursor of an equal list of another worker', () => {
    expect(list('a', 'b', 'c').page(nextCursor(list('a', 'b', 'c'), 2), 2)).toEqual({
      kind: 'page',
      json: JSON.stringify({ tools: [tool('c')] }),
    });
  });

  it('refuses the cursor of a list that has changed', () => {
    expect(list('a', 'b', 'd').page(nextCursor(list('a', 'b', 'c'), 2), 2)).toEqual({ kind: 'badCursor' });
  });

  const good = nextCursor(list('a', 'b', 'c'), 2);
  const version = Buffer.from(good, 'base64url').toString('latin1').split('.')[0];
  const forged = (offset: string) => Buffer.from(`${version}.${offset}`).toString('base64url');
  it.each([
    ['empty', ''],
    ['a number', 2],
    ['an object', {}],
    ['garbage', 'garbage'],
    ['very long', 'A'.repeat(100_000)],
    ['a character too long', `${good}A`],
    ['of another offset by its digits alone', forged('02')],
    ['offset 0', forged('0')],
    ['between pages', forged('1')],
    ['beyond the end', forged('4')],
    ['negative', forged('-2')],
    ['not whole', forged('2.0')],
  ])('refuses a cursor that is %s', (_what, cursor) => {
    expect(list('a', 'b', 'c').page(cursor, 2)).toEqual({ kind: 'badCursor' });
  });
});
