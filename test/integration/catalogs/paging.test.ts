// Merged lists, page by page: the same bytes from every worker, cursors that are good at any of them, and backends that page badly.
import { sendError } from '../../support/strict-backend.js';
import { failureOf, namesOf, OFFERS_ALL, tools, useCatalogs } from './fixture.js';

const { start, startStrict, startWorker } = useCatalogs();

test('thousands of tools: every worker gives the same pages, and goes on from a cursor of any other', async () => {
  const a = await start({ tools: tools(2500), pageSize: 250 });
  const b = await start({ tools: [...tools(3, 'only-b-'), ...tools(1200)], pageSize: 1000 });
  const workers = [startWorker({ a, b }), startWorker({ a, b })];
  const [first, second] = workers as [(typeof workers)[0], (typeof workers)[0]];
  // Read by the one in the middle of what the other pages.
  const pages = [await first.page('tools')];
  for (let i = 0; pages.at(-1).nextCursor !== undefined; i++) {
    const worker = i % 2 === 0 ? second : first;
    pages.push(await worker.page('tools', pages.at(-1).nextCursor));
  }
  expect(pages.map(({ tools: page }) => page.length)).toEqual([1000, 1000, 1000, 703]);
  const names = pages.flatMap(namesOf);
  expect(new Set(names).size).toBe(3703);
  expect(names.slice(0, 2)).toEqual(['a__t0', 'a__t1']);
  expect(names.slice(1200, 1202)).toEqual(['t1200', 't1201']);
  expect(names.slice(2500, 2504)).toEqual(['only-b-0', 'only-b-1', 'only-b-2', 'b__t0']);
  for (const [i, page] of pages.entries()) {
    const cursor = i === 0 ? undefined : pages[i - 1].nextCursor;
    expect(await first.page('tools', cursor)).toEqual(page);
    expect(await second.page('tools', cursor)).toEqual(page);
  }
});

test('a cursor that is stale, foreign, or none is refused with a word on what to do; the list itself is still had', async () => {
  const listed = { tools: tools(1500), prompts: tools(1500) };
  const a = await start(listed);
  const worker = startWorker({ a });
  const { nextCursor } = await worker.page('tools');
  const { nextCursor: ofPrompts } = await worker.page('prompts');
  const other = startWorker({ a: await start({ tools: tools(1400) }) });
  const { nextCursor: foreign } = await other.page('tools');
  const refused = [ofPrompts, foreign, 'x', `${nextCursor}A`, nextCursor.slice(0, -1), 'A'.repeat(100_000), '-1', '\u0000'];
  for (const cursor of refused) {
    const error = await failureOf(worker.page('tools', cursor));
    expect([error.code, error.message]).toEqual(['BAD_ARGUMENT', expect.stringContaining('list anew')]);
  }
  listed.tools = tools(1501);
  worker.cache.invalidate('a', 'tools');
  expect((await failureOf(worker.page('tools', nextCursor))).code).toBe('BAD_ARGUMENT');
  const anew = await worker.page('tools');
  expect((await worker.page('tools', anew.nextCursor)).tools).toHaveLength(501);
});

test('a list that changes between two pages and refuses its own cursor is begun anew: never half of each', async () => {
  const listed = { tools: tools(4, 'old-'), pageSize: 2 };
  const a = await start(listed);
  const worker = startWorker({ a });
  a.once('tools/list', (request, response) => {
    a.reply(request, response, { tools: listed.tools.slice(0, 2), nextCursor: `${JSON.stringify(listed.tools).length}:2` });
    listed.tools = tools(3, 'newer-');
  });
  expect(namesOf(await worker.page('tools'))).toEqual(['newer-0', 'newer-1', 'newer-2']);
});

test('a backend that refuses every second page hides itself after three attempts', async () => {
  const a = await startStrict(OFFERS_ALL);
  a.always('tools/list', (request, response) => {
    if (request.message.params?.cursor === undefined) a.reply(request, response, { tools: tools(2), nextCursor: 'x' });
    else sendError(response, 200, -32602, 'Invalid cursor', request.message.id);
  });
  const worker = startWorker({ a, b: await start({ tools: tools(1, 'b') }) });
  expect(namesOf(await worker.page('tools'))).toEqual(['b0']);
  expect(a.of('tools/list')).toHaveLength(6);
});

test('a backend that pages without end, or in a circle, is cut and told of; its neighbours are whole', async () => {
  const endless = await startStrict(OFFERS_ALL);
  let page = 0;
  endless.always('tools/list', (request, response) => {
    endless.reply(request, response, { tools: tools(3, `e${++page}-`), nextCursor: `p${page}` });
  });
  const circle = await startStrict(OFFERS_ALL);
  circle.always('tools/list', (request, response) =>
    circle.reply(request, response, { tools: tools(2, 'c'), nextCursor: 'again' }),
  );
  const good = await start({ tools: tools(5, 'g'), pageSize: 2 });
  const worker = startWorker({ endless, circle, good });
  expect(namesOf(await worker.page('tools')).slice(300)).toEqual(['c0', 'c1', 'g0', 'g1', 'g2', 'g3', 'g4']);
  expect(endless.of('tools/list')).toHaveLength(100);
  expect(worker.warned).toEqual(
    expect.arrayContaining(['tools/list was cut: more than 100 pages', 'tools/list was cut: the backend repeats a cursor']),
  );
});

test('all pages of a list together may hold no more than one answer may', async () => {
  const huge = await startStrict(OFFERS_ALL);
  let page = 0;
  const description = 'x'.repeat(4 * 1024 * 1024);
  huge.always('tools/list', (request, response) => {
    huge.reply(request, response, { tools: [{ name: `h${++page}`, description }], nextCursor: `p${page}` });
  });
  const worker = startWorker({ huge, good: await start({ tools: tools(1, 'g') }) });
  expect(namesOf(await worker.page('tools'))).toEqual(['g0']);
  expect(page).toBeLessThan(10);
  expect(worker.cache.failureOf('huge')).toBe('protocol');
});

test('names of any length and script are had by every worker under the same names', async () => {
  const long = 'n'.repeat(128);
  const odd = [{ name: long }, { name: 'größe 🙂' }, { name: 'a.b/c' }, { name: '__proto__' }, { name: 'constructor' }];
  const [a, b] = [await start({ tools: odd }), await start({ tools: odd })];
  const [one, two] = [startWorker({ a, b }), startWorker({ a, b })];
  const names = namesOf(await one.page('tools'));
  expect(namesOf(await two.page('tools'))).toEqual(names);
  expect(new Set(names).size).toBe(10);
  for (const name of names) {
    expect(name).toMatch(/^[A-Za-z0-9_.-]{1,128}$/);
    const found = one.catalogs.findNamedNow(one.session, 'tools', name);
    expect(found).toEqual(two.catalogs.findNamedNow(two.session, 'tools', name));
    expect(odd.map((tool) => tool.name)).toContain(found?.name);
  }
});
