// S124, S125: session id and version on every POST, each request one answer with its id, stdout nothing but JSON-RPC.
import { waitFor } from '../../support/wait-for.js';
import { textOf, useHarness } from './harness.js';

const use = useHarness();

test('session id and negotiated version are on every later request, also GET and DELETE', async () => {
  const server = await use.server({ protocolVersion: '2025-06-18' });
  const bridge = use.bridge(server.url);
  expect((await bridge.open()).result?.protocolVersion).toBe('2025-06-18');
  expect(textOf(await bridge.ask(1, 'tools/call', { name: 'echo', arguments: { text: 'hi' } }))).toBe('hi');
  await waitFor('the GET stream', () => server.of('GET').length === 1);
  expect(await bridge.close()).toEqual({ code: 0, signal: null });

  expect(server.requests.filter(({ what }) => what === 'initialize').map(({ headers }) => headers['mcp-session-id'])).toEqual([
    undefined,
  ]);
  const later = server.requests.filter(({ what }) => what !== 'initialize');
  expect(later.map(({ what }) => what).sort()).toEqual(['DELETE', 'GET', 'notifications/initialized', 'tools/call']);
  for (const { headers } of later) {
    expect(headers).toMatchObject({ 'mcp-session-id': 'session-1', 'mcp-protocol-version': '2025-06-18' });
  }
  expect(server.sessionCount).toBe(0);
});

test('lines sent at once wait for initialize and for notifications/initialized, then run side by side', async () => {
  const server = await use.server();
  let release: (() => void) | undefined;
  server.once('initialize', (request, response) => {
    release = () => server.answer(request, response);
  });
  let answerSlow: (() => void) | undefined;
  server.always('tools/call', (request, response) => {
    const answer = () => server.answer(request, response);
    if (request.message.params?.name === 'slow') answerSlow = answer;
    else answer();
  });
  const bridge = use.bridge(server.url);
  bridge.request('init', 'initialize', {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'x', version: '1' },
  });
  bridge.notify('notifications/initialized');
  bridge.call('slow', 'slow', { ms: 0 });
  for (let i = 0; i < 40; i++) bridge.call(i, 'echo', { text: `${i}` });
  await waitFor('initialize', () => release);
  expect(server.sequence).toEqual(['initialize']);
  release?.();
  // The first of them is answered last: had the others to wait for it, none would be.
  for (let i = 0; i < 40; i++) expect(textOf(await bridge.answer(i))).toBe(`${i}`);
  await waitFor('the slow call', () => answerSlow);
  answerSlow?.();
  await bridge.answer('slow');
  expect(server.sequence.slice(0, 2)).toEqual(['initialize', 'notifications/initialized']);
  expect(bridge.lines[0]?.id).toBe('init');
  expect(bridge.lines).toHaveLength(42);
});

test('notifications and responses are taken with 202 and write no line', async () => {
  const server = await use.server();
  const bridge = use.bridge(server.url);
  await bridge.open();
  bridge.notify('notifications/roots/list_changed');
  bridge.send({ jsonrpc: '2.0', id: 77, result: { roots: [] } });
  await bridge.ask(1, 'ping');
  await waitFor(
    'both to arrive',
    () => server.of('response').length + server.of('notifications/roots/list_changed').length === 2,
  );
  expect(bridge.lines.map(({ id }) => id)).toEqual(['init', 1]);
});

test('every message of an event stream becomes a line as it comes, whatever the framing', async () => {
  for (const framing of ['crlf', 'multi-line', 'primed', 'bom', 'comments'] as const) {
    const server = await use.server({ reply: 'sse', framing });
    const bridge = use.bridge(server.url);
    await bridge.open();
    expect(textOf(await bridge.ask(1, 'tools/call', { name: 'progress', arguments: { steps: 3 } }))).toBe('done');
    expect(bridge.lines.map(({ method, id }) => method ?? id)).toEqual([
      'init',
      ...Array.from({ length: 3 }, () => 'notifications/progress'),
      1,
    ]);
  }
});

test('a JSON answer with line breaks in it is still one line, and all its characters survive', async () => {
  const server = await use.server();
  const text = 'zwei\nZeilen \u2028 日本語 🦊 "quoted"';
  server.once('tools/call', ({ message }, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ jsonrpc: '2.0', id: message.id, result: { content: [{ type: 'text', text }], n: 1 } }, null, 2),
    );
  });
  const bridge = use.bridge(server.url);
  await bridge.open();
  expect(textOf(await bridge.ask(1, 'tools/call', { name: 'x' }))).toBe(text);
  expect(bridge.stdout.split('\n')).toHaveLength(3);
});

test('lines that are no message get an error and are not sent; blank ones nothing', async () => {
  const server = await use.server();
  const bridge = use.bridge(server.url);
  await bridge.open();
  bridge.send('this is not JSON');
  expect((await bridge.answer(null)).error?.code).toBe(-32700);
  bridge.send('  ');
  expect((await bridge.ask(7, 'ping')).result).toEqual({});
  bridge.send({ jsonrpc: '1.0', id: 8, method: 'ping' });
  expect((await bridge.answer(8)).error?.code).toBe(-32600);
  bridge.child.stdin.write(
    Buffer.concat([Buffer.from('{"jsonrpc":"2.0","id":9,"method":"'), Buffer.from([0xff]), Buffer.from('"}\n')]),
  );
  await waitFor('the line that is no UTF-8', () => bridge.lines.filter(({ id }) => id === null).length === 2);
  expect(server.sequence.filter((what) => what !== 'GET')).toEqual(['initialize', 'notifications/initialized', 'ping']);
});

test('a line that is too long is refused with its id, and the next one works', async () => {
  const server = await use.server();
  const bridge = use.bridge(server.url);
  await bridge.open();
  const big = 'x'.repeat(5 * 1024 * 1024);
  bridge.send({ method: 'tools/call', params: { name: 'echo', arguments: { text: big } }, jsonrpc: '2.0', id: 5 });
  expect((await bridge.answer(5)).error?.message).toMatch(/too large/i);
  bridge.send({ jsonrpc: '2.0', id: 'six', method: 'tools/call', params: { name: 'echo', arguments: { text: big } } });
  await bridge.answer('six');
  // An answer to the server: its id is the server's, and no request of the client must end by it.
  bridge.send({ jsonrpc: '2.0', id: 6, result: { text: big } });
  expect((await bridge.answer(null)).error?.code).toBe(-32000);
  expect((await bridge.ask(7, 'ping')).result).toEqual({});
  expect(server.of('tools/call')).toHaveLength(0);
});

test('a batch passes where 2025-03-26 was negotiated, and nowhere else', async () => {
  const batch = [
    { jsonrpc: '2.0', id: 1, method: 'ping' },
    { jsonrpc: '2.0', id: 2, method: 'ping' },
    { jsonrpc: '2.0', method: 'notifications/roots/list_changed' },
  ];
  const newer = use.bridge((await use.server()).url);
  await newer.open();
  newer.send(batch);
  expect((await newer.answer(1)).error?.code).toBe(-32600);
  expect((await newer.answer(2)).error?.code).toBe(-32600);

  const server = await use.server();
  server.always('response', ({ body }, response) => {
    expect(JSON.parse(body)).toEqual(batch);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify([2, 1].map((id) => ({ jsonrpc: '2.0', id, result: {} }))));
  });
  const bridge = use.bridge(server.url);
  await bridge.open('2025-03-26');
  bridge.send(batch);
  const lines = () => bridge.lines as unknown[];
  await waitFor('the array of answers', () => lines().some(Array.isArray));
  expect(lines().find(Array.isArray)).toEqual([2, 1].map((id) => ({ jsonrpc: '2.0', id, result: {} })));
});

test('an error for one element on the stream of a batch ends nothing else', async () => {
  const server = await use.server();
  const error = { jsonrpc: '2.0', id: null, error: { code: -32600, message: 'Invalid Request' } };
  const answers = [1, 2].map((id) => ({ jsonrpc: '2.0', id, result: {} }));
  server.always('response', (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end([error, ...answers].map((message) => `data: ${JSON.stringify(message)}\n\n`).join(''));
  });
  const bridge = use.bridge(server.url);
  await bridge.open('2025-03-26');
  bridge.send([
    ...answers.map(({ id }) => ({ jsonrpc: '2.0', id, method: 'ping' })),
    { jsonrpc: '2.0', id: 'forged', result: {} },
  ]);
  await waitFor('the last answer', () => bridge.lines.some(({ id }) => id === 2));
  expect(bridge.lines.filter(({ id }) => id !== 'init')).toEqual([error, ...answers]);
});
