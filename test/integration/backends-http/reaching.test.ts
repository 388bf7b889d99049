// What happens before and around a connection: errors that name their kind, addresses that are refused, headers, DELETE.
import { createServer } from 'node:net';
import type { AddressInfo, LookupFunction, Server } from 'node:net';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { callTool, makeConfig } from './harness.js';
import { HeaderPlan } from '../../../src/backends/http/headers.js';

/** A resolver that knows one name. */
const resolverOf = (addresses: readonly string[]): LookupFunction =>
  ((_name: string, _options: object, callback: (e: null, found: object[]) => void) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )) as unknown as LookupFunction;

const noName = ((_name: string, _options: object, callback: (e: Error) => void) =>
  callback(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }))) as unknown as LookupFunction;

describe('reaching a backend', () => {
  const { open, startStrict, connect, createSession } = useBackends();
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  const listen = async (onConnection: Parameters<typeof createServer>[1]) => {
    const server = createServer(onConnection as never);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };

  test('S77: refused, unknown name and TLS are told apart, with no URL or secret in what is told', async () => {
    const port = await listen((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const closed = await startStrict();
    const closedUrl = `${closed.url}?key=hunter2`;
    await closed.close().catch(() => undefined);
    const logged: object[] = [];
    const errors = await Promise.all(
      [
        connect(closedUrl, { headers: { authorization: 'Bearer hunter2' } }, { logged }),
        connect('http://nowhere.example/mcp?key=hunter2', {}, { lookup: noName, logged }),
        connect(`https://127.0.0.1:${port}/mcp?key=hunter2`, {}, { logged }),
      ].map(async (backend) => (await callTool(createSession(backend), 'echo')).error),
    );
    expect(errors.map((e) => [e?.code, e?.details?.reason])).toEqual([
      ['BACKEND_UNAVAILABLE', 'refused'],
      ['BACKEND_UNAVAILABLE', 'dns'],
      ['BACKEND_UNAVAILABLE', 'tls'],
    ]);
    expect(JSON.stringify([errors.map((e) => e?.toJsonRpc()), logged])).not.toContain('hunter2');
    expect(logged).toHaveLength(3);
  });

  test('a backend that accepts and is silent is a time-out at the deadline', async () => {
    const port = await listen(() => undefined);
    const session = createSession(connect(`http://127.0.0.1:${port}/mcp`));
    const { error } = await callTool(session, 'echo', {}, { withinMs: 150 });
    expect(error).toMatchObject({ code: 'BACKEND_TIMEOUT', details: { backend: 'b' } });
    session.close(error as never);
  });

  test.each([['169.254.169.254'], ['127.0.0.1'], ['10.0.0.1', '::1'], ['fd00:ec2::254'], ['::ffff:169.254.1.1']])(
    'S60: a name that leads to %s is refused, and nothing is dialled',
    async (...addresses) => {
      const strict = await startStrict();
      const url = `http://rebound.example:${strict.port}/mcp`;
      const session = createSession(connect(url, {}, { lookup: resolverOf(addresses) }));
      expect((await callTool(session, 'echo')).error).toMatchObject({
        code: 'BACKEND_UNAVAILABLE',
        details: { backend: 'b', reason: 'address_refused' },
      });
      expect(strict.connections).toBe(0);
    },
  );

  test('S60: localhost may lead to loopback, and a literal address is named by the configuration', async () => {
    const strict = await startStrict();
    const byName = createSession(connect(`http://localhost:${strict.port}/mcp`, {}, { lookup: resolverOf(['127.0.0.1']) }));
    expect((await callTool(byName, 'echo', { text: 'a' })).text).toBe('a');
    const byAddress = createSession(connect(strict.url, {}, { lookup: resolverOf(['169.254.1.1']) }));
    expect((await callTool(byAddress, 'echo', { text: 'b' })).text).toBe('b');
  });

  test('configured headers go with everything; named client headers with each request; nothing else', async () => {
    const names = ['x-tenant', 'x-key', 'cookie', 'mcp-session-id', 'connection', 'host', 'x-berth-owner', 'x-forwarded-for'];
    const { strict, session } = await open({}, { headers: { 'X-Key': 'fixed', Accept: 'x/y' }, forwardHeaders: names });
    const client = {
      'x-tenant': 't1',
      'x-key': 'mine',
      'mcp-session-id': 'ours',
      connection: 'close',
      host: 'evil',
      'x-berth-owner': 'w',
      'x-forwarded-for': '1.2.3.4',
      'x-other': 'o',
    };
    await callTool(session, 'echo', {}, { headers: client });
    await callTool(session, 'echo', {}, { headers: { ...client, 'x-tenant': 't2' } });
    await callTool(session, 'echo', {}, { headers: { 'x-tenant': 'bad\nvalue' } });
    expect(strict.requests.map((r) => r.headers['x-tenant'])).toEqual(['t1', 't1', 't1', 't2', undefined]);
    for (const { headers } of strict.requests) {
      expect(headers['x-key']).toBe('fixed');
      expect(headers.accept).toBe('application/json, text/event-stream');
      expect(headers.host).toBe(`127.0.0.1:${strict.port}`);
      for (const name of ['x-berth-owner', 'x-forwarded-for', 'x-other']) expect(headers[name]).toBeUndefined();
    }
  });

  test('a header that cannot be sent is refused at start, by name and without its value', () => {
    const url = new URL('http://127.0.0.1/mcp');
    expect(() => new HeaderPlan('b', makeConfig(url.href, { headers: { 'x-a': 'se\ncret' } }), url)).toThrow(/x-a/);
    expect(() => new HeaderPlan('b', makeConfig(url.href, { headers: { 'x-a': 'se\ncret' } }), url)).not.toThrow(/cret/);
  });

  test('notifications are posted in the session; without one they are dropped', async () => {
    const logged: object[] = [];
    const { strict, session } = await open({}, {}, { logged });
    await session.notify({ jsonrpc: '2.0', method: 'notifications/early' }, {});
    await callTool(session, 'echo');
    await session.notify({ jsonrpc: '2.0', method: 'notifications/x', params: { a: 1 } }, {});
    expect(strict.of('notifications/early')).toHaveLength(0);
    expect(strict.of('notifications/x')[0]).toMatchObject({ sessionId: 'session-1', message: { params: { a: 1 } } });
    strict.once('notifications/y', (_request, response) => void response.writeHead(500).end());
    await session.notify({ jsonrpc: '2.0', method: 'notifications/y' }, {});
    expect(logged).toMatchObject([{ what: 'notifications/y', reason: 'http_500' }]);
  });

  test('notifications that the backend does not take are dropped beyond a bound, told once, and calls go on', async () => {
    const logged: object[] = [];
    const { strict, session } = await open({}, {}, { logged });
    await callTool(session, 'echo');
    const unanswered: Array<() => void> = [];
    const hold = (text: string) =>
      strict.always(text, (_request, response) => void unanswered.push(() => response.writeHead(202).end()));
    hold('notifications/x');
    const told = Array.from({ length: 1000 }, () => session.notify({ jsonrpc: '2.0', method: 'notifications/x' }, {}));
    // What was dropped is over at once; the rest waits for the backend.
    let over = 0;
    for (const one of told) void one.then(() => over++);
    await waitFor('all but the bound to be over', () => over === 1000 - 128);
    expect(logged).toMatchObject([{ what: 'notifications/x', reason: 'busy' }]);
    await callTool(session, 'echo');
    await waitFor('those under way to be taken', () => {
      for (const answer of unanswered.splice(0)) answer();
      return over === 1000;
    });
    expect(strict.of('notifications/x')).toHaveLength(128);
    await session.notify({ jsonrpc: '2.0', method: 'notifications/y' }, {});
    expect(strict.of('notifications/y')).toHaveLength(1);
  });

  test('end() sends one DELETE with id, version and headers, and tells what came of it', async () => {
    const { strict, session, backend } = await open();
    await callTool(session, 'echo');
    const what = { id: 'session-1', protocolVersion: '2025-11-25', headers: { 'x-key': 'k' } };
    expect(await backend.end(what, 1000)).toEqual({ kind: 'status', status: 200 });
    expect(strict.of('DELETE')[0]?.headers).toMatchObject({
      'mcp-session-id': 'session-1',
      'mcp-protocol-version': '2025-11-25',
      'x-key': 'k',
    });
    expect(await backend.end(what, 1000)).toEqual({ kind: 'status', status: 404 });
    strict.once('DELETE', () => undefined);
    expect(await backend.end(what, 100)).toEqual({ kind: 'unreachable', reason: 'timeout' });
    await waitFor('the connection to be cut', () => strict.of('DELETE')[2]?.aborted);
    await strict.close();
    // `reset` if the idle connection had not heard of the end yet.
    expect(await backend.end(what, 1000)).toMatchObject({ kind: 'unreachable', reason: expect.stringMatching(/refused|reset/) });
  });

  test('an idle connection is closed by us before the backend does', async () => {
    const { strict, session } = await open();
    strict.always('tools/call', (request, response, b) => {
      response.setHeader('keep-alive', 'timeout=2');
      b.answer(request, response);
    });
    await callTool(session, 'echo');
    const { connections } = strict;
    const started = performance.now();
    await waitFor('the connection of the call to be closed', () => strict.connections < connections, 1900);
    expect(performance.now() - started).toBeGreaterThan(500);
  });
});
