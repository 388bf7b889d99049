// The stream, its endpoint event and the handshake, with servers that do each of it wrong.
import type { LookupFunction } from 'node:net';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { waitFor } from '../../support/wait-for.js';
import { callTool, soon, useBackends } from './harness.js';

const { make, open, connect, createSession, start } = useBackends();

test('concurrent first calls open one stream; initialize is saved and confirmed before the first call', async () => {
  const { raw, session, host } = await make();
  expect(session.isBoundToWorker).toBe(false);
  const callers = [1, 2, 3].map((id) => callTool(session, id, 'counter'));
  await Promise.all(callers.map(({ response }) => response));
  expect(raw.streams).toHaveLength(1);
  expect(raw.posts.map(({ message }) => message.method)).toEqual([
    'initialize',
    'notifications/initialized',
    ...Array(3).fill('tools/call'),
  ]);
  expect(host.saves).toHaveLength(1);
  expect(host.saves[0]).toMatchObject({
    previousGeneration: 0,
    value: { generation: 1, transport: 'sse', protocolVersion: '2024-11-05' },
  });
  expect([session.isOpen, session.isBoundToWorker]).toEqual([true, true]);
});

test('nothing is posted before the id was saved; a refused save ends the stream', async () => {
  const { raw, session, host } = await make();
  host.saveAnswer = 'refused';
  await expect(session.open(soon())).rejects.toMatchObject({ code: 'NOT_OWNER' });
  expect(raw.posts.map(({ message }) => message.method)).toEqual(['initialize']);
  await waitFor('the stream to end', () => !raw.last.isOpen);
  expect(host.discarded).toEqual([]);
});

test.each([
  ['an absolute URL of the same origin', (origin: string) => `${origin}/deep/messages?session=1`],
  ['an absolute path', () => '/messages?session=1'],
  ['a path relative to the stream', () => 'messages?session=1'],
  ['nothing but a query', () => '?session=1'],
])('the endpoint may be %s', async (_, endpoint) => {
  const { session, raw } = await make({ endpoint: (_stream, origin) => endpoint(origin) });
  await callTool(session, 'a', 'echo').response;
  expect(raw.posts[0]?.path).toBe(new URL(endpoint(raw.origin), raw.url).href.slice(raw.origin.length));
});

test.each([
  ['another origin', 'http://169.254.169.254/latest'],
  ['another port', 'http://127.0.0.1:1/messages'],
  ['another scheme', 'https://127.0.0.1/messages'],
  ['a host without a scheme', '//evil.example/messages'],
  ['no URL', 'http://['],
  ['no text at all', ''],
])('an endpoint that is %s is refused and nothing is sent there', async (_, named) => {
  const { session, raw } = await make({ endpoint: () => named });
  const caller = callTool(session, 1, 'echo');
  await expect(caller.response).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { reason: 'endpoint_refused' } });
  expect(raw.posts).toEqual([]);
  await waitFor('the stream to end', () => !raw.last.isOpen);
});

test('a second endpoint event changes nothing', async () => {
  const { session, raw, host } = await open();
  raw.last.write('event: endpoint\ndata: /elsewhere?session=1\n\n');
  raw.last.say({ method: 'notifications/tools/list_changed' });
  await waitFor('what came behind it', () => host.notifications.length === 1);
  await callTool(session, 1, 'echo').response;
  expect(new Set(raw.posts.map(({ path }) => path))).toEqual(new Set(['/messages?session=1']));
});

test('an endpoint that comes late is waited for, one that never comes ends with a time-out', async () => {
  const { session, raw } = await make({ endpoint: () => undefined });
  const caller = callTool(session, 1, 'echo');
  await waitFor('the stream', () => raw.streams.length === 1);
  raw.last.write(': not yet\n\nevent: ping\ndata: {}\n\nevent: endpoint\ndata: /messages?session=1\n\n');
  expect((await caller.response).id).toBe(1);

  const silent = await make({ endpoint: () => undefined }, {}, { startTimeout: 100 });
  await expect(silent.session.open(soon())).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT', details: { step: 'endpoint' } });
  await waitFor('the stream to end', () => !silent.raw.last.isOpen);
});

test.each([
  ['CRLF', '\r\n'],
  ['CR', '\r'],
])('lines may end in %s', async (_, newline) => {
  const { session } = await make({ newline });
  expect((await callTool(session, 'x', 'echo', { a: 1 }).response).result.params.arguments).toEqual({ a: 1 });
});

test.each([
  [404, 'http_404', { remedy: expect.stringContaining('type: http') }],
  [405, 'http_405', { remedy: expect.stringContaining('type: http') }],
  [401, 'http_401', {}],
  [307, 'redirect', {}],
  [204, 'http_204', {}],
])('a stream that is refused with %i says so', async (status, reason, more) => {
  const { session } = await make({ refuseStream: { status, headers: { location: '/sse/' } } });
  await expect(callTool(session, 1, 'echo').response).rejects.toMatchObject({
    code: 'BACKEND_UNAVAILABLE',
    details: { reason, status, ...more },
  });
});

test('a page is no event stream', async () => {
  const { session } = await make({ refuseStream: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' } });
  await expect(callTool(session, 1, 'echo').response).rejects.toMatchObject({ details: { reason: 'bad_reply' } });
});

test('a server that is not there, and a name that leads to a forbidden address, open nothing', async () => {
  const gone = createSession(connect('http://127.0.0.1:9/sse')).session;
  await expect(callTool(gone, 1, 'echo').response).rejects.toMatchObject({ details: { reason: 'refused' } });
  const lookup: LookupFunction = (_name, options, callback) =>
    options.all ? callback(null, [{ address: '169.254.169.254', family: 4 }]) : callback(null, '169.254.169.254', 4);
  const rebound = createSession(connect('http://backend.example/sse', {}, { lookup })).session;
  await expect(callTool(rebound, 1, 'echo').response).rejects.toMatchObject({ details: { reason: 'address_refused' } });
});

test('a stream may be opened only by who may act, and each POST asks again', async () => {
  const { session, host, raw } = await make();
  host.allowed = false;
  await expect(session.open(soon())).rejects.toMatchObject({ code: 'NOT_OWNER' });
  expect(raw.streams).toHaveLength(0);
  host.allowed = true;
  await session.open(soon());
  const before = raw.posts.length;
  host.allowed = false;
  await expect(callTool(session, 1, 'echo').response).rejects.toMatchObject({ code: 'NOT_OWNER' });
  await session.notify({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }, {});
  expect(raw.posts).toHaveLength(before);
});

test('the guard is asked when the bytes leave, not when the call came', async () => {
  const raw = await start();
  const { host, session } = createSession(connect(raw.url));
  await session.open(soon());
  // The ownership ends between the call and its connection.
  let asked = 0;
  host.onAsk = () => {
    asked++;
    host.allowed = false;
  };
  await expect(callTool(session, 1, 'echo').response).rejects.toMatchObject({ code: 'NOT_OWNER' });
  expect(asked).toBe(1);
  expect(raw.sent('tools/call')).toEqual([]);
});

test('headers: the configured ones everywhere, forwarded ones of each caller, never those of a client otherwise', async () => {
  const { session, raw } = await make(
    { protocolVersion: '2025-06-18' },
    { headers: { Authorization: 'Bearer own' }, forwardHeaders: ['x-tenant'] },
  );
  const headersOf = (tenant: string) => ({ headers: { 'x-tenant': tenant, cookie: 'no', authorization: 'Bearer client' } });
  await callTool(session, 1, 'echo', {}, { call: headersOf('one') }).response;
  await callTool(session, 2, 'echo', {}, { call: headersOf('two') }).response;
  const seen = [raw.last, ...raw.posts].map(({ headers }) => [headers.authorization, headers['x-tenant'], headers.cookie]);
  expect(seen).toEqual([...Array(4).fill(['Bearer own', 'one', undefined]), ['Bearer own', 'two', undefined]]);
  expect(raw.last.headers.accept).toBe('text/event-stream');
  expect(raw.posts.map(({ headers }) => headers['mcp-protocol-version'])).toEqual([undefined, ...Array(3).fill('2025-06-18')]);
});

test('a session that closes while it opens leaves no stream, and its callers hear why', async () => {
  const { session, raw } = await make({ endpoint: () => undefined });
  const caller = callTool(session, 1, 'echo');
  await waitFor('the stream', () => raw.streams.length === 1);
  const why = new GatewayError('SESSION_NOT_FOUND');
  session.close(why);
  await expect(caller.response).rejects.toBe(why);
  await waitFor('the stream to end', () => !raw.last.isOpen);
});
