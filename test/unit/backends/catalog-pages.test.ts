import { type ListRequest, loadAllPages } from '../../../src/backends/catalog-pages.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';

/** A backend that answers with these results, one after another (the last one for ever). */
function backend(...results: unknown[]) {
  const asked: Array<[string, Record<string, unknown>]> = [];
  const request: ListRequest = async (method, params) => {
    asked.push([method, params]);
    return { result: results[Math.min(asked.length, results.length) - 1] };
  };
  return { asked, request };
}

describe('loadAllPages', () => {
  it('walks nextCursor to the end', async () => {
    const { asked, request } = backend({ tools: [{ name: 'a' }], nextCursor: '1' }, { tools: [{ name: 'b' }], nextCursor: '' });
    expect(await loadAllPages(request, 'tools')).toEqual({ entries: [{ name: 'a' }, { name: 'b' }] });
    expect(asked).toEqual([
      ['tools/list', {}],
      ['tools/list', { cursor: '1' }],
    ]);
  });

  it.each([
    ['tools', 'tools/list', { name: 'k' }],
    ['prompts', 'prompts/list', { name: 'k' }],
    ['resources', 'resources/list', { uri: 'k' }],
    ['resourceTemplates', 'resources/templates/list', { uriTemplate: 'k' }],
  ] as const)('reads %s with %s', async (kind, method, entry) => {
    const { asked, request } = backend({ [kind]: [entry] });
    expect((await loadAllPages(request, kind)).entries).toEqual([entry]);
    expect(asked[0]?.[0]).toBe(method);
  });

  it('drops entries that cannot be named and repeated ones, and says so', async () => {
    const warnings: string[] = [];
    const { request } = backend({
      tools: [null, 'x', [], {}, { name: 1 }, { name: '' }, { name: 'a', n: 1 }, { name: 'a', n: 2 }, { name: 'l'.repeat(257) }],
    });
    const { entries } = await loadAllPages(request, 'tools', (message) => warnings.push(message));
    expect(entries).toEqual([{ name: 'a', n: 1 }]);
    expect(warnings).toEqual([
      'tools/list: 6 entries without a name were dropped',
      'tools/list: 1 entries with a name above 256 characters were dropped',
      'tools/list: 1 entries with a repeated name were dropped',
    ]);
  });

  it('stops at a cursor that repeats, at too many pages, at too many entries', async () => {
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    const loop = backend({ tools: [{ name: 'a' }], nextCursor: 'same' });
    await loadAllPages(loop.request, 'tools', warn);
    expect(loop.asked).toHaveLength(2);

    let page = 0;
    const endless: ListRequest = async () => ({ result: { tools: [{ name: `t${++page}` }], nextCursor: `${page}` } });
    expect((await loadAllPages(endless, 'tools', warn, { maxPages: 3 })).entries).toHaveLength(3);
    const many = backend({ tools: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] });
    expect((await loadAllPages(many.request, 'tools', warn, { maxEntries: 2 })).entries).toHaveLength(2);
    expect((await loadAllPages(endless, 'tools', warn, { maxEntries: 2 })).entries).toHaveLength(2);
    expect(warnings).toEqual([
      'tools/list was cut: the backend repeats a cursor',
      'tools/list: 1 entries with a repeated name were dropped',
      'tools/list was cut: more than 3 pages',
      'tools/list was cut: more than 2 entries',
      'tools/list was cut: more than 2 entries',
    ]);
  });

  it('says of a list that it was cut, and of no other', async () => {
    const whole = backend({ tools: [{ name: 'a' }, { name: 'a' }] });
    expect(await loadAllPages(whole.request, 'tools', undefined, { maxEntries: 1 })).toEqual({ entries: [{ name: 'a' }] });
    const surplus = backend({ tools: [{ name: 'a' }, { name: 'b' }] });
    expect((await loadAllPages(surplus.request, 'tools', undefined, { maxEntries: 1 })).isCut).toBe(true);
    const circle = backend({ tools: [{ name: 'a' }], nextCursor: 'same' });
    expect((await loadAllPages(circle.request, 'tools')).isCut).toBe(true);
  });

  it('begins anew when its cursor is refused, twice at most, and not for another error or at the first page', async () => {
    const refused = { error: { code: -32602, message: 'Invalid cursor' } };
    const answers = (...given: Array<Awaited<ReturnType<ListRequest>>>) => {
      const asked: unknown[] = [];
      const request: ListRequest = async (_method, params) => {
        asked.push(params.cursor);
        return given[Math.min(asked.length, given.length) - 1] as Awaited<ReturnType<ListRequest>>;
      };
      return { asked, request };
    };
    const page = (name: string, nextCursor?: string) => ({ result: { tools: [{ name }], nextCursor, ttlMs: name.length } });
    const changed = answers(page('old', 'x'), refused, page('newer', 'y'), page('newest'));
    expect(await loadAllPages(changed.request, 'tools')).toEqual({ entries: [{ name: 'newer' }, { name: 'newest' }], ttlMs: 5 });
    expect(changed.asked).toEqual([undefined, 'x', undefined, 'y']);
    const never = answers(page('a', 'x'), refused, page('a', 'x'), refused, page('a', 'x'), refused);
    await expect(loadAllPages(never.request, 'tools')).rejects.toMatchObject({ details: { reason: 'list_error_-32602' } });
    expect(never.asked).toHaveLength(6);
    const first = answers(refused);
    await expect(loadAllPages(first.request, 'tools')).rejects.toMatchObject({ details: { reason: 'list_error_-32602' } });
    expect(first.asked).toHaveLength(1);
  });

  it('takes a backend without the method for one that offers nothing', async () => {
    const request: ListRequest = async () => ({ error: { code: -32601, message: 'Method not found' } });
    expect(await loadAllPages(request, 'prompts')).toEqual({ entries: [] });
  });

  it('keeps the shortest ttl of all pages', async () => {
    const { request } = backend({ tools: [], nextCursor: '1', ttlMs: 9000 }, { tools: [], ttlMs: 100 });
    expect((await loadAllPages(request, 'tools')).ttlMs).toBe(100);
  });

  it.each([
    ['another error', { error: { code: -32603, message: 'secret' } }, 'list_error_-32603'],
    ['no object', { result: [] }, 'not_a_list'],
    ['no array', { result: { tools: {} } }, 'not_a_list'],
  ])('fails on %s', async (_what, answer, reason) => {
    const failure = loadAllPages(async () => answer, 'tools');
    await expect(failure).rejects.toBeInstanceOf(GatewayError);
    await expect(failure).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { reason } });
  });
});
