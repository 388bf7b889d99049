// Servers that insist: everything a strict server may demand or do within the protocol, besides what the other files of this folder
// show at calls. The strict backend refuses what the protocol refuses, so that a good answer says that everything was right.
import type { ServerResponse } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { type CatalogKind, KIND_FACTS } from '../../../src/backends/catalog.js';
import { loadAllPages } from '../../../src/backends/catalog-pages.js';
import { unsealBackendSession } from '../../../src/backends/http/sealed-session.js';
import { OwnRequests } from '../../../src/backends/own-requests.js';
import type { BackendSession } from '../../../src/backends/backend.js';
import { type Framing, type RecordedRequest, type StrictBackend, sendError } from '../../support/strict-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { callTool, keyring } from './harness.js';

const { open, startStrict } = useBackends();

/** Reads a list as the catalogs do. */
async function readList(session: BackendSession, kind: CatalogKind = 'tools'): Promise<unknown[]> {
  const deadlineMs = performance.now() + 5000;
  await session.open(deadlineMs);
  const requests = new OwnRequests();
  const { entries } = await loadAllPages(
    (method, params) => requests.request(session, { method, params, headers: {}, deadlineMs }),
    kind,
    (message) => {
      throw new Error(message);
    },
  );
  return entries.map((entry) => entry[KIND_FACTS[kind].keyField]);
}

const framings: Framing[] = ['lf', 'crlf', 'cr', 'no-space', 'id-first', 'id-last', 'multi-line', 'primed', 'comments', 'bom'];

describe('S42: the catalog is read with exactly the id that was issued', () => {
  test.each(['404', 'sdk'] as const)('of a server that refuses every other id with %s', async (lost) => {
    const { strict, session } = await open({ lost, idPrefix: 'Issued~1' });
    expect(await readList(session)).toEqual(['echo']);
    expect(strict.requests.map(({ what, sessionId }) => [what, sessionId])).toEqual([
      ['initialize', undefined],
      ['notifications/initialized', 'Issued~1-1'],
      ['tools/list', 'Issued~1-1'],
    ]);
    expect(strict.of('tools/list')[0]?.headers['mcp-protocol-version']).toBe('2025-11-25');
  });

  test('of a server that issues none: none is sent', async () => {
    const { strict, session } = await open({ issueId: false });
    expect(await readList(session)).toEqual(['echo']);
    expect(strict.requests.every(({ headers }) => !('mcp-session-id' in headers))).toBe(true);
  });

  test('after the session was lost, with the next one', async () => {
    const { strict, session } = await open({ lost: 'sdk' });
    await readList(session);
    strict.forget();
    expect(await readList(session)).toEqual(['echo']);
    expect(strict.of('tools/list').map(({ sessionId }) => sessionId)).toEqual(['session-1', 'session-1', 'session-2']);
  });
});

test.each(framings)('S55: initialize and lists framed as events, %s', async (framing) => {
  const { strict, session } = await open({ reply: 'sse', framing });
  expect(await readList(session)).toEqual(['echo']);
  expect(strict.of('initialize')).toHaveLength(1);
});

test('S55: initialize answered by events: a notification first, the response next, and a stream that stays open behind it', async () => {
  const { strict, session } = await open({ reply: 'sse' });
  let stream: ServerResponse | undefined;
  strict.once('initialize', (request, response, b) => {
    const end = response.end.bind(response);
    stream = response;
    // The regular answer, but the stream does not end.
    response.end = ((text: string) => {
      const event = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'hello' } });
      response.write(`: first a comment\n\ndata: ${event}\n\n${text}`);
      response.end = end as never;
      return response;
    }) as never;
    b.answer(request, response);
  });
  expect((await callTool(session, 'echo', { text: 'x' })).text).toBe('x');
  expect(strict.sequence).toEqual(['initialize', 'notifications/initialized', 'tools/call']);
  stream?.end();
});

test.each([
  ['application/json; charset=utf-8', 'json'],
  ['Application/JSON', 'json'],
  ['text/event-stream;charset=UTF-8', 'sse'],
  ['Text/Event-Stream', 'sse'],
] as const)('media types are what they are in any case and with parameters: %s', async (type, reply) => {
  const { strict, session } = await open({ reply });
  const withType = (request: RecordedRequest, response: ServerResponse, b: StrictBackend) => {
    const writeHead = response.writeHead.bind(response) as (status: number, headers: object) => ServerResponse;
    response.writeHead = ((status: number, headers: object) =>
      writeHead(status, status === 200 ? { ...headers, 'content-type': type } : headers)) as never;
    b.answer(request, response);
  };
  for (const method of ['initialize', 'tools/list', 'tools/call']) strict.always(method, withType);
  expect(await readList(session)).toEqual(['echo']);
  expect((await callTool(session, 'echo', { text: 'x' })).text).toBe('x');
});

test.each([
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
] as const)('replies compressed with %s although nobody asked: handshake, lists, calls, JSON and events', async (name, pack) => {
  for (const reply of ['json', 'sse'] as const) {
    const { strict, session } = await open({ reply });
    const packed = (request: RecordedRequest, response: ServerResponse, b: StrictBackend) => {
      const writeHead = response.writeHead.bind(response) as (status: number, headers: object) => ServerResponse;
      const end = response.end.bind(response) as (body: Buffer) => ServerResponse;
      response.writeHead = ((status: number, { 'content-length': _length, ...headers }: Record<string, unknown>) =>
        writeHead(status, { ...headers, 'content-encoding': name })) as never;
      response.end = ((text: string) => end(pack(Buffer.from(text)))) as never;
      b.answer(request, response);
    };
    for (const method of ['initialize', 'tools/list', 'tools/call']) strict.always(method, packed);
    expect(await readList(session)).toEqual(['echo']);
    expect((await callTool(session, 'echo', { text: 'x' })).text).toBe('x');
  }
});

test.each([301, 302, 303, 307, 308])('a redirect of initialize (%i) is refused: nothing goes where it points', async (status) => {
  const elsewhere = await startStrict();
  const { strict, session } = await open({}, { headers: { authorization: 'Bearer for-this-server' } });
  strict.always('initialize', (_request, response) => void response.writeHead(status, { location: elsewhere.url }).end());
  expect((await callTool(session, 'echo')).error).toMatchObject({
    code: 'BACKEND_UNAVAILABLE',
    details: { backend: 'b', reason: 'redirect', status },
  });
  expect(elsewhere.connections).toBe(0);
});

test.each([
  [200, '{}'],
  [202, ''],
  [204, ''],
])('initialized may be answered %i', async (status, body) => {
  const { strict, session } = await open();
  strict.once('notifications/initialized', (request, response, b) => {
    const writeHead = response.writeHead.bind(response);
    const end = response.end.bind(response);
    response.writeHead = (() => writeHead(status)) as never;
    response.end = (() => end(body)) as never;
    b.answer(request, response);
  });
  expect((await callTool(session, 'echo', { text: 'x' })).text).toBe('x');
});

test('S53: a 401 with a JSON-RPC body on initialized names the 401, and the fresh id is discarded', async () => {
  const { strict, session, host } = await open();
  strict.once('notifications/initialized', (_request, response) => sendError(response, 401, -32001, 'token expired', null));
  expect((await callTool(session, 'echo')).error).toMatchObject({ details: { backend: 'b', reason: 'http_401', status: 401 } });
  expect(host.discarded.map(({ sealed }) => unsealBackendSession(keyring, 'ref-1', 'b', sealed)?.id)).toEqual(['session-1']);
});

test.each([401, 403, 404, 406, 500, 503])('initialize answered %i without a body is told by its status', async (status) => {
  const { strict, session } = await open();
  strict.once('initialize', (_request, response) => void response.writeHead(status).end());
  expect((await callTool(session, 'echo')).error?.details).toEqual({
    backend: 'b',
    reason: `http_${status}`,
    status,
    ...(status === 500 ? { executed: 'unknown' } : {}),
    ...(status === 404 ? { remedy: expect.stringContaining('type: sse') } : {}),
  });
  // The next caller tries again.
  expect((await callTool(session, 'echo', { text: 'x' })).text).toBe('x');
});

test.each([400, 403, 429, 500, 503])('S68: an error of a list keeps its words under status %i', async (status) => {
  const { strict, session } = await open();
  await session.open(performance.now() + 5000);
  strict.once('tools/list', (request, response) => sendError(response, status, -32050, 'not today', request.message.id));
  const request = { method: 'tools/list', params: {}, headers: {}, deadlineMs: performance.now() + 5000 };
  expect(await new OwnRequests().request(session, request)).toMatchObject({ error: { code: -32050, message: 'not today' } });
});

test('S44: whatever happens to a session, no id ever arrives that was not issued, and initialize carries none', async () => {
  const { strict, session } = await open({ lost: 'sdk' });
  session.setListening(true);
  await callTool(session, 'echo');
  strict.forget();
  await Promise.all(Array.from({ length: 10 }, () => callTool(session, 'echo')));
  await session.notify({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }, {});
  await waitFor('the stream of the new session', () => strict.streams.size === 1);
  strict.once('initialize', (_request, response) => void response.writeHead(500).end());
  strict.forget();
  await callTool(session, 'echo');
  await callTool(session, 'echo');
  const ids = new Set(strict.requests.flatMap(({ sessionId }) => (sessionId === undefined ? [] : [sessionId])));
  expect([...ids].filter((id) => !strict.issued.includes(id))).toEqual([]);
  expect(strict.of('initialize').every(({ sessionId }) => sessionId === undefined)).toBe(true);
});
