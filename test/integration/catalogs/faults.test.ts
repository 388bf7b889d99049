// A backend whose lists cannot be read hides its own entries, within the time limit, and nothing else; calls by its names hear why. What
// it lists comes back by itself.
import type { ServerResponse } from 'node:http';
import { waitFor } from '../../support/wait-for.js';
import type { Handler, StrictBackend } from '../../support/strict-backend.js';
import { failureOf, namesOf, OFFERS_ALL, pageLists, tools, useCatalogs } from './fixture.js';

const { start, startStrict, startWorker } = useCatalogs();
const json = (response: ServerResponse, text: string) =>
  void response.writeHead(200, { 'content-type': 'application/json' }).end(text);
const firstPage: Handler = (request, response, backend) =>
  backend.reply(request, response, { tools: tools(2, 'half-'), nextCursor: 'more' });

/** What becomes of tools/list, one page after the other; the last for ever. */
const FAULTS: ReadonlyArray<readonly [what: string, reason: RegExp, pages: Handler[]]> = [
  ['says nothing', /^timeout$/, [() => undefined]],
  ['says nothing on page 2', /^timeout$/, [firstPage, () => undefined]],
  ['begins an answer and stops', /^timeout$/, [(_request, response) => void response.writeHead(200).write('{"jsonrpc"')]],
  [
    'answers with an error',
    /^list_error_-32603$/,
    [
      (request, response, backend) =>
        backend.send(response, [{ jsonrpc: '2.0', id: request.message.id, error: { code: -32603, message: 'x' } }]),
    ],
  ],
  [
    'answers with an error that is none',
    /./,
    [(request, response) => json(response, JSON.stringify({ jsonrpc: '2.0', id: request.message.id, error: 'oops' }))],
  ],
  ['answers with no JSON', /./, [(_request, response) => json(response, '<html>')]],
  [
    'answers with a page of a web site',
    /./,
    [(_request, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
  ],
  [
    'answers with null',
    /not_a_list|no_answer|bad_reply|protocol/,
    [(request, response, backend) => backend.reply(request, response, null)],
  ],
  [
    'answers with something else',
    /^not_a_list$/,
    [(request, response, backend) => backend.reply(request, response, { tools: 'many' })],
  ],
  [
    'answers another request',
    /./,
    [(_request, response) => json(response, '{"jsonrpc":"2.0","id":"other","result":{"tools":[]}}')],
  ],
  ['refuses', /^http_403$/, [(_request, response) => void response.writeHead(403).end()]],
  ['breaks', /^http_500$/, [(_request, response) => void response.writeHead(500).end()]],
  ['dies before it answers', /./, [(_request, response) => void response.destroy()]],
  ['dies between two pages', /./, [firstPage, (_request, response) => void response.destroy()]],
];

function breakLists(backend: StrictBackend, pages: Handler[]): void {
  let next = 0;
  backend.always('tools/list', (request, response, self) => {
    // Begun anew.
    if (request.message.params?.cursor === undefined) next = 0;
    return pages[Math.min(next++, pages.length - 1)]?.(request, response, self);
  });
}

test.each(FAULTS)('one that %s hides itself alone; known again by itself, its clients are told', async (_what, reason, pages) => {
  const listed = { tools: tools(2, 'b') };
  const bad = await startStrict(OFFERS_ALL);
  breakLists(bad, pages);
  const worker = startWorker({ good: await start({ tools: tools(2, 'g') }), bad });
  const { catalogs, session, exchangeOf } = worker;
  const soon = () => exchangeOf(400);

  const startedMs = performance.now();
  expect(namesOf(await worker.page('tools', undefined, session, soon()))).toEqual(['g0', 'g1']);
  expect(performance.now() - startedMs).toBeLessThan(5000);
  expect(worker.cache.failureOf('bad')).toMatch(reason);
  // Whose it is cannot be known: it may be a tool of the one that nobody could read. What the other has is served.
  const unknown = await failureOf(catalogs.findNamed(session, 'tools', 'b0', soon()));
  expect([unknown.code, unknown.details]).toEqual([
    'BACKEND_UNAVAILABLE',
    { backend: 'bad', reason: expect.stringMatching(reason) },
  ]);
  expect(await catalogs.findNamed(session, 'tools', 'g1', soon())).toMatchObject({ backend: 'good' });

  // Nobody lists: whoever listens is told all the same.
  pageLists(bad, listed);
  session.standalone = {} as never;
  worker.retryClock.advance(6000);
  await waitFor('the change to be told', () => worker.changes.length > 0);
  expect(worker.changes).toMatchObject([{ backend: 'bad', kind: 'tools', part: { available: true } }]);
  expect(namesOf(await worker.page('tools'))).toEqual(['g0', 'g1', 'b0', 'b1']);

  // Its names stay its own while it is away again: a call is tried there.
  breakLists(bad, pages);
  worker.cache.invalidate('bad', 'tools');
  expect(namesOf(await worker.page('tools', undefined, session, soon()))).toEqual(['g0', 'g1']);
  expect(await catalogs.findNamed(session, 'tools', 'b1', soon())).toMatchObject({ backend: 'bad', name: 'b1' });
  expect((await failureOf(catalogs.findNamed(session, 'tools', 'no-such-tool', soon()))).code).toBe('TOOL_NOT_FOUND');
});

test('a list that failed is read again at growing intervals, while anybody listens and no longer', async () => {
  const bad = await startStrict(OFFERS_ALL);
  bad.always('tools/list', (_request, response) => void response.writeHead(500).end());
  const worker = startWorker({ good: await start({ tools: tools(1) }), bad });
  const { retryClock, session } = worker;
  await worker.page('tools');
  const reads = () => bad.of('tools/list').length;
  session.standalone = {} as never;
  let expected = 1;
  for (const delayMs of [6000, 12_000, 24_000, 48_000, 60_000, 60_000]) {
    retryClock.advance(delayMs - 1);
    expect(reads()).toBe(expected);
    retryClock.advance(1);
    expected++;
    await waitFor(`read ${expected}, and the next to be planned`, () => reads() === expected && retryClock.pendingTimers === 1);
  }
  session.standalone = undefined;
  retryClock.advance(60_000);
  expect([reads(), retryClock.pendingTimers]).toEqual([expected, 0]);
});

test('one that opens later than a list waits for it: its tools come when it is there', async () => {
  const slow = await start({ tools: tools(1, 's') });
  let open: () => void = () => undefined;
  slow.once('initialize', async (request, response, backend) => {
    await new Promise<void>((resolve) => {
      open = resolve;
    });
    backend.answer(request, response);
  });
  const worker = startWorker({ good: await start({ tools: tools(1, 'g') }), slow });
  expect(namesOf(await worker.page('tools', undefined, worker.session, worker.exchangeOf(300)))).toEqual(['g0']);
  worker.session.standalone = {} as never;
  open();
  worker.retryClock.advance(6000);
  await waitFor('the change to be told', () => worker.changes.some(({ part }) => part.available));
  expect(namesOf(await worker.page('tools'))).toEqual(['g0', 's0']);
});

test('changes told during every read keep no list longer than its time limit, and what was read once is shown', async () => {
  const restless = await start({ tools: tools(1, 'r') });
  const worker = startWorker({ restless, good: await start({ tools: tools(1, 'g') }) });
  let reads = 0;
  restless.always('tools/list', (request, response, backend) => {
    worker.cache.invalidate('restless', 'tools');
    // The first is answered, the next ones are not.
    if (++reads === 1) backend.reply(request, response, { tools: tools(1, 'r') });
  });
  const startedMs = performance.now();
  expect(namesOf(await worker.page('tools', undefined, worker.session, worker.exchangeOf(500)))).toEqual(['r0', 'g0']);
  expect(performance.now() - startedMs).toBeLessThan(5000);
  expect(reads).toBe(2);
});

test('one that lists by who asks: each sees its own, whoever it refuses is shown the rest and asks it for nothing in the background', async () => {
  const personal = await startStrict({ ...OFFERS_ALL, authorize: ({ 'x-tenant': tenant }) => tenant !== undefined });
  personal.always('tools/list', (request, response, backend) => {
    if (request.headers['x-tenant'] === undefined) backend.answer(request, response);
    else backend.reply(request, response, { tools: [{ name: `of-${request.headers['x-tenant']}` }] });
  });
  const worker = startWorker(
    { personal, good: await start({ tools: tools(1, 'g') }) },
    { personal: ['personal'], forward: ['x-tenant'] },
  );
  const { openSession, exchangeOf, catalogs } = worker;
  const seen = async (tenant?: string) => {
    const session = openSession();
    const exchange = exchangeOf(5000, tenant === undefined ? {} : { 'x-tenant': tenant });
    return { session, exchange, names: namesOf(await worker.page('tools', undefined, session, exchange)) };
  };
  const [one, two, none] = [await seen('one'), await seen('two'), await seen()];
  expect([one.names, two.names, none.names]).toEqual([['of-one', 'g0'], ['of-two', 'g0'], ['g0']]);
  expect((await failureOf(catalogs.findNamed(one.session, 'tools', 'of-two', one.exchange))).code).toBe('TOOL_NOT_FOUND');
  const refused = await failureOf(catalogs.findNamed(none.session, 'tools', 'of-one', none.exchange));
  expect(refused.details).toEqual({ backend: 'personal', reason: 'http_401' });
  none.session.standalone = {} as never;
  const asked = personal.requests.length;
  worker.retryClock.advance(120_000);
  expect([personal.requests.length, worker.retryClock.pendingTimers]).toEqual([asked, 0]);
});

test('prompts, resources and completions of one that could never be read hear that it is away, not that there is no such thing', async () => {
  const bad = await startStrict(OFFERS_ALL);
  for (const method of ['prompts/list', 'resources/list', 'resources/templates/list']) {
    bad.always(method, (_request, response) => void response.writeHead(500).end());
  }
  const worker = startWorker({ bad, good: await start({ prompts: [{ name: 'p' }], resources: [{ uri: 'r://1', name: 'r' }] }) });
  const { catalogs, session, exchangeOf } = worker;
  const asked = [
    () => catalogs.findReference(session, { type: 'ref/prompt', name: 'other' }, exchangeOf()),
    () => catalogs.findReference(session, { type: 'ref/resource', uri: 't://{x}' }, exchangeOf()),
    () => catalogs.findResource(session, 'r://2', exchangeOf()),
    () => catalogs.findNamed(session, 'prompts', 'other', exchangeOf()),
  ];
  for (const ask of asked) expect((await failureOf(ask())).details).toEqual({ backend: 'bad', reason: 'http_500' });
  expect(await catalogs.findReference(session, { type: 'ref/prompt', name: 'p' }, exchangeOf())).toMatchObject({
    backend: 'good',
  });
  expect(await catalogs.findResource(session, 'r://1', exchangeOf())).toBe('good');
  // What is no reference is nobody's.
  for (const ref of [{}, { type: 'ref/other' }, { type: 'ref/prompt', name: 7 }, { type: 'ref/resource' }]) {
    expect((await failureOf(catalogs.findReference(session, ref, exchangeOf()))).code).toBe('BAD_ARGUMENT');
  }
});

test('where only templates could not be read, a uri that nobody lists may be one of theirs', async () => {
  const half = await start({ resources: [{ uri: 'r://1', name: 'r' }] });
  half.always('resources/templates/list', (_request, response) => void response.writeHead(500).end());
  const worker = startWorker({ half, good: await start({}) });
  const error = await failureOf(worker.catalogs.findResource(worker.session, 'r://2', worker.exchangeOf()));
  expect(error.details).toEqual({ backend: 'half', reason: 'http_500' });
});

test('a name that went from one backend to another: sessions that knew it hear that they need a new one, new ones use it', async () => {
  const [ofA, ofB] = [{ tools: [{ name: 'other' }] }, { tools: [{ name: 'echo' }] }];
  const worker = startWorker({ a: await start(ofA), b: await start(ofB) });
  const { catalogs, session, exchangeOf, openSession } = worker;
  expect(namesOf(await worker.page('tools'))).toEqual(['other', 'echo']);
  [ofA.tools, ofB.tools] = [[{ name: 'echo' }], []];
  for (const name of ['a', 'b']) worker.cache.invalidate(name);
  expect(namesOf(await worker.page('tools'))).toEqual(['echo']);
  const error = await failureOf(catalogs.findNamed(session, 'tools', 'echo', exchangeOf()));
  expect([error.code, error.message]).toEqual(['TOOL_NOT_FOUND', expect.stringContaining('new session')]);
  expect(await catalogs.findNamed(openSession(), 'tools', 'echo', exchangeOf())).toMatchObject({ backend: 'a' });
});
