// What goes wrong at the gateway: the caller gets one answer with his id, and a tool call never runs twice.
import type { ServerResponse } from 'node:http';
import { CLIENT_PARAMS } from '../../support/bridge-process.js';
import { type RecordedRequest, sendError } from '../../support/strict-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { textOf, useHarness } from './harness.js';

const use = useHarness();
const open = async (options = {}, bridgeOptions = {}) => {
  const server = await use.server(options);
  const bridge = use.bridge(server.url, bridgeOptions);
  await bridge.open();
  return { server, bridge };
};

test.each([
  [400, 'Bad Request'],
  [413, 'Content Too Large'],
  [421, 'Misdirected'],
  [500, 'boom'],
])('HTTP %i with a JSON-RPC body: passed on with the id of the caller', async (status, message) => {
  const { server, bridge } = await open();
  server.once('tools/call', (_, response) => sendError(response, status, -32000, message, null, { detail: 1 }));
  const answer = await bridge.ask('mine', 'tools/call', { name: 'echo' });
  expect(answer).toEqual({ jsonrpc: '2.0', id: 'mine', error: { code: -32000, message, data: { detail: 1 } } });
});

test.each([400, 402, 418, 429, 500, 502, 504])('HTTP %i without one: an error that names the status', async (status) => {
  const { server, bridge } = await open();
  server.once('tools/call', (_, response) => {
    response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>no</h1>');
  });
  const { error } = await bridge.ask(3, 'tools/call', { name: 'echo' });
  // A balancer may say 5xx after the call has run.
  expect(error?.code).toBe(status >= 500 ? -32012 : -32000);
  expect(error?.message).toContain(String(status));
  expect(error?.data?.status).toBe(status);
  expect(server.of('tools/call')).toHaveLength(1);
  expect((await bridge.ask(4, 'ping')).result).toEqual({});
});

test.each([401, 403])('HTTP %i: the caller is told what to do', async (status) => {
  const { server, bridge } = await open();
  server.once('tools/call', (_, response) => sendError(response, status, -32000, 'Unauthorized', null));
  const { error } = await bridge.ask(3, 'tools/call', { name: 'echo' });
  expect(error?.message).toMatch(/BERTH_TOKEN.*--header/);
});

test('a redirect is not followed, and only its host is told', async () => {
  const { server, bridge } = await open();
  server.always('tools/call', (_, response) => {
    response.writeHead(307, { location: 'https://elsewhere.example/secret?token=s3cret' }).end();
  });
  const { error } = await bridge.ask(3, 'tools/call', { name: 'echo' });
  expect(error?.message).toContain('elsewhere.example');
  expect(bridge.stdout + bridge.stderr).not.toMatch(/s3cret|\/secret/);
});

test('a lost session is made anew once for all who find it lost, with the parameters of the client, and he notices nothing', async () => {
  const { server, bridge } = await open();
  await waitFor('the GET stream', () => server.streams.size === 1);
  server.forget();
  for (let i = 0; i < 20; i++) bridge.call(i, 'echo', { text: `t${i}` });
  for (let i = 0; i < 20; i++) expect(textOf(await bridge.answer(i))).toBe(`t${i}`);
  const [first, second] = server.of('initialize');
  expect(server.of('initialize')).toHaveLength(2);
  expect(second?.message.params).toEqual(first?.message.params);
  expect(server.of('notifications/initialized')).toHaveLength(2);
  expect(bridge.lines.map(({ id }) => id).sort()).toEqual([...Array.from({ length: 20 }, (_, i) => i), 'init'].sort());
  // Each was refused at most once and taken once.
  const taken = server.of('tools/call').filter(({ sessionId }) => sessionId === 'session-2');
  expect(taken.map(({ message }) => message.id).sort()).toEqual(Array.from({ length: 20 }, (_, i) => i).sort());
  await waitFor('a GET stream in the new session', () => server.streams.has('session-2'));
  await bridge.close();
  expect(server.sessionCount).toBe(0);
});

test('a session that is lost again at once is not chased for ever', async () => {
  const { server, bridge } = await open();
  server.always('tools/call', (_, response) => sendError(response, 404, -32001, 'Session not found', null));
  const { error } = await bridge.ask(1, 'tools/call', { name: 'echo' });
  expect(error).toMatchObject({ code: -32001, message: 'Session not found' });
  expect(server.of('initialize')).toHaveLength(2);
  expect(server.of('tools/call')).toHaveLength(2);
});

test('a new session that is refused: every caller hears why, and the next call tries again', async () => {
  // Without a stream, which would find the session lost as well.
  const { server, bridge } = await open({ get: '405' });
  await waitFor('the GET', () => server.of('GET').length === 1);
  server.forget();
  server.once('initialize', (_, response) => sendError(response, 400, -32000, 'not today', null));
  expect((await bridge.ask(1, 'tools/call', { name: 'echo' })).error?.message).toBe('not today');
  expect(textOf(await bridge.ask(2, 'tools/call', { name: 'echo', arguments: { text: 'again' } }))).toBe('again');
});

test('503 and 429 with Retry-After, and a refused connection, are waited out; the call runs once', async () => {
  const { server, bridge } = await open();
  for (const status of [503, 429, 503]) {
    server.once('tools/call', (_, response) => {
      response.setHeader('retry-after', '0');
      sendError(response, status, -32000, 'later', null);
    });
  }
  expect(textOf(await bridge.ask(1, 'tools/call', { name: 'echo', arguments: { text: 'ran' } }))).toBe('ran');
  expect(server.of('tools/call')).toHaveLength(4);

  const { port } = server;
  await server.close();
  bridge.call(2, 'count');
  await waitFor('the note', () => bridge.stderr.includes('the gateway is away'));
  const next = await use.server({ idPrefix: 'other' }, port);
  expect(textOf(await bridge.answer(2))).toBe('1');
  expect(next.of('tools/call').filter(({ sessionId }) => sessionId === 'other-1')).toHaveLength(1);
  expect(bridge.stderr).toContain('the gateway is back');
});

test('503 and 429 of a proxy: its word is not enough to repeat a tool call, but a list is repeated', async () => {
  const { server, bridge } = await open();
  for (const [i, status] of [503, 429].entries()) {
    const later = (_: RecordedRequest, response: ServerResponse) => {
      response.writeHead(status, { 'retry-after': '0', 'content-type': 'text/html' }).end('<h1>later</h1>');
    };
    server.once('tools/call', later).once('tools/list', later);
    const { error } = await bridge.ask(`call-${i}`, 'tools/call', { name: 'echo' });
    expect(error).toMatchObject({ code: status === 503 ? -32012 : -32000, data: { status } });
    expect(server.of('tools/call')).toHaveLength(i + 1);
    expect((await bridge.ask(`list-${i}`, 'tools/list')).result?.tools).toHaveLength(1);
  }
});

test('a 404 that says that the call may have run: it is not repeated, and the next one finds a new session', async () => {
  const { server, bridge } = await open({ get: '405' });
  await waitFor('the GET', () => server.of('GET').length === 1);
  const marked = (_: RecordedRequest, response: ServerResponse) => {
    server.forget();
    sendError(response, 404, -32001, 'Session not found', null, { executed: 'unknown' });
  };
  server.once('tools/call', marked).once('tools/list', marked);
  expect((await bridge.ask(1, 'tools/call', { name: 'echo' })).error?.code).toBe(-32012);
  expect(server.of('tools/call')).toHaveLength(1);
  expect(textOf(await bridge.ask(2, 'tools/call', { name: 'echo', arguments: { text: 'next' } }))).toBe('next');
  expect((await bridge.ask(3, 'tools/list')).result?.tools).toHaveLength(1);
});

test("a call in flight whose session the client's second initialize ends is not begun again in the next one", async () => {
  const { server, bridge } = await open();
  let refuse: (() => void) | undefined;
  server.once('tools/call', (_, response) => {
    refuse = () => sendError(response, 404, -32001, 'Session not found', null);
  });
  bridge.call('pay', 'count');
  await waitFor('the call', () => refuse);
  await bridge.ask('again', 'initialize', CLIENT_PARAMS);
  bridge.notify('notifications/initialized');
  await waitFor('the end of the first session', () => server.of('DELETE').length === 1);
  refuse?.();
  expect((await bridge.answer('pay')).error?.code).toBe(-32012);
  expect(textOf(await bridge.ask('next', 'tools/call', { name: 'count' }))).toBe('1');
});

test.each([
  ['lost its session', 404, -32001],
  ['was told to wait', 503, -32000],
])('a call that is cancelled and then %s is not begun again', async (_name, status, code) => {
  const { server, bridge } = await open();
  let refuse: (() => void) | undefined;
  server.once('tools/call', (_, response) => {
    refuse = () => {
      response.setHeader('retry-after', '0');
      sendError(response, status, code, 'no', null);
    };
  });
  bridge.call('pay', 'count');
  await waitFor('the call', () => refuse);
  bridge.notify('notifications/cancelled', { requestId: 'pay' });
  await waitFor('the cancellation', () => server.of('notifications/cancelled').length === 1);
  refuse?.();
  // Longer than any wait of the bridge before it would try again.
  await bridge.ask('slow', 'tools/call', { name: 'slow', arguments: { ms: 1000 } });
  expect(server.of('tools/call').map(({ message }) => message.id)).toEqual(['pay', 'slow']);
  expect(bridge.lines.map(({ id }) => id)).toEqual(['init', 'slow']);
});

test('patience ends: the caller is told that nothing ran', async () => {
  const { server, bridge } = await open({}, { args: ['--patience', '1s'] });
  server.once('tools/call', (_, response) => {
    response.setHeader('retry-after', '3600');
    sendError(response, 503, -32000, 'in an hour', null);
  });
  expect((await bridge.ask(1, 'tools/call', { name: 'echo' })).error?.message).toBe('in an hour');
  await server.close();
  const { error } = await bridge.ask(2, 'tools/call', { name: 'echo' });
  expect(error).toMatchObject({ code: -32010, message: expect.stringContaining('connection refused') });
});

describe('an answer that is lost after the request was sent', () => {
  const cut = (_: RecordedRequest, response: { socket: { destroy(): void } | null }) => void response.socket?.destroy();

  test('a tool call is not repeated: outcome unknown', async () => {
    const { server, bridge } = await open();
    server.once('tools/call', cut);
    expect((await bridge.ask(1, 'tools/call', { name: 'echo' })).error?.code).toBe(-32012);
    expect(server.of('tools/call')).toHaveLength(1);
  });

  test('a list, a ping and initialize are', async () => {
    const server = await use.server();
    server.once('initialize', cut).once('tools/list', cut).once('ping', cut).once('notifications/initialized', cut);
    const bridge = use.bridge(server.url);
    expect((await bridge.open()).result?.serverInfo).toBeDefined();
    expect((await bridge.ask(1, 'tools/list')).result?.tools).toHaveLength(1);
    expect((await bridge.ask(2, 'ping')).result).toEqual({});
    expect(server.of('tools/list')).toHaveLength(2);
  });

  test('a JSON body that breaks off: outcome unknown', async () => {
    const { server, bridge } = await open();
    server.once('tools/call', (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"jsonrpc":"2.0","id":1,');
      response.socket?.end();
    });
    expect((await bridge.ask(1, 'tools/call', { name: 'echo' })).error?.code).toBe(-32012);
  });

  test.each([
    ['202', 202, ''],
    ['an empty 200', 200, ''],
    ['HTML', 200, '<html></html>'],
    ["another request's answer", 200, '{"jsonrpc":"2.0","id":"else","result":{}}'],
  ])('%s is no answer', async (_name, status, body) => {
    const { server, bridge } = await open();
    server.once('tools/call', (_, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
    expect((await bridge.ask(1, 'tools/call', { name: 'echo' })).error?.code).toBe(-32012);
    expect(bridge.lines).toHaveLength(2);
  });
});
