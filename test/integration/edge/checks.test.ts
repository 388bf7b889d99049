// The checks of the public edge, in the order of the contract, over real sockets.
import { connect } from 'node:net';
import { JSON_HEADERS, type RawRequest, rpc, sendRaw } from '../../support/raw-request.js';
import { waitFor } from '../../support/wait-for.js';
import { BODY_LIMIT, Edge } from './edge-fixture.js';

let edge: Edge;
beforeEach(async () => {
  edge = await new Edge().start();
});
afterEach(() => edge.stop());

const PATH = '/servers/support/mcp';
const PING = rpc(PATH, undefined, 'ping');
const send = (raw: RawRequest) => sendRaw(edge.origin, raw);
const withHeaders = (headers: Record<string, string>, raw: RawRequest = PING): RawRequest => ({
  ...raw,
  headers: { ...raw.headers, ...headers },
});
const post = (body: string, headers: Record<string, string> = {}): RawRequest =>
  withHeaders(headers, { path: PATH, headers: JSON_HEADERS, body });

async function expectError(raw: RawRequest, status: number, rpcCode: number, id: unknown = null) {
  const answer = await send(raw);
  expect([answer.status, JSON.parse(answer.body)]).toEqual([
    status,
    { jsonrpc: '2.0', id, error: expect.objectContaining({ code: rpcCode, message: expect.any(String) }) },
  ]);
  expect(answer.headers['content-type']).toBe('application/json');
  expect(edge.seen).toEqual([]);
  return answer;
}

describe('order', () => {
  const bad = { host: 'evil.test', origin: 'https://evil.test' };

  it('Host comes before everything', async () => {
    edge.locked = true;
    await expectError({ method: 'PATCH', path: '/servers//mcp', headers: { host: bad.host } }, 403, -32000);
    expect(edge.refused).toEqual(['HOST_FORBIDDEN']);
  });

  it('then Origin', async () => {
    await expectError({ method: 'PATCH', path: '/servers//mcp', headers: { origin: bad.origin } }, 403, -32000);
    expect(edge.refused).toEqual(['ORIGIN_FORBIDDEN']);
  });

  it('then a path that can be none', async () => {
    await expectError({ method: 'PATCH', path: '/servers//mcp' }, 404, -32000);
  });

  it('then the method, also where the server is unknown', async () => {
    const answer = await expectError({ method: 'PATCH', path: '/servers/unknown/mcp' }, 405, -32000);
    expect(answer.headers.allow).toBe('GET, POST, DELETE');
  });

  it('then authentication, before anybody is told whether a server exists', async () => {
    edge.locked = true;
    await expectError({ path: '/servers/unknown/mcp', headers: { accept: 'text/html' } }, 401, -32000);
  });

  it('then whether the server exists, before headers', async () => {
    await expectError({ path: '/servers/unknown/mcp', headers: { accept: 'text/html' } }, 404, -32000);
  });

  it('then Accept, before the content type, before the length', async () => {
    await expectError({ path: PATH, headers: { accept: 'text/html', 'content-type': 'text/plain' }, body: 'x' }, 406, -32000);
    await expectError(post('x'.repeat(BODY_LIMIT + 1), { 'content-type': 'text/plain' }), 415, -32000);
  });
});

describe('headers', () => {
  it.each([
    ['POST', 'text/html'],
    ['GET', 'application/json'],
  ])('%s with Accept %s is 406', async (method, accept) => {
    await expectError({ method, path: PATH, headers: { 'content-type': 'application/json', accept } }, 406, -32000);
  });

  it.each(['text/plain', 'application/jsonx', 'application/x-www-form-urlencoded', 'multipart/form-data'])(
    'content type %s is 415',
    async (type) => {
      await expectError(post('{}', { 'content-type': type }), 415, -32000);
    },
  );

  it('a compressed body is 415', async () => {
    await expectError(post('{}', { 'content-encoding': 'gzip' }), 415, -32000);
  });

  it.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON'])(
    'content type %s is taken',
    async (type) => {
      expect((await send(withHeaders({ 'content-type': type }))).status).toBe(200);
    },
  );

  it('an unsupported version is 400 with the id of the call, and no matter on initialize', async () => {
    await expectError(
      withHeaders({ 'mcp-protocol-version': '1999-01-01' }, rpc(PATH, undefined, 'ping', {}, 'x')),
      400,
      -32000,
      'x',
    );
    const initialize = rpc(PATH, undefined, 'initialize', { protocolVersion: '1999-01-01' });
    expect((await send(withHeaders({ 'mcp-protocol-version': '1999-01-01' }, initialize))).status).toBe(200);
  });

  it('internal headers and credentials go no further, also where a backend asks for them', async () => {
    await send(
      withHeaders({
        'x-forwarded-internally': 'true',
        'x-berth-owner': 'me',
        'x-berth-principal': 'root',
        authorization: 'Bearer secret',
        cookie: 'a=b',
        'x-tenant': 'acme',
        'mcp-session-id': 'some-id',
      }),
    );
    expect(edge.seen[0]?.headers).toEqual({ accept: JSON_HEADERS.accept, 'x-tenant': 'acme', 'mcp-session-id': 'some-id' });
    expect(edge.seen[0]?.hop).toBeUndefined();
  });
});

describe('bodies', () => {
  it.each([
    ['no JSON', 'hello', -32700, null],
    ['nothing', '', -32700, null],
    ['an empty batch', '[]', -32600, null],
    ['no message', '{"jsonrpc":"2.0","id":5}', -32600, 5],
    ['array params', '{"jsonrpc":"2.0","id":"x","method":"ping","params":[1]}', -32602, 'x'],
  ])('%s is 400', async (_name, body, code, id) => {
    await expectError(post(body), 400, code, id);
  });

  it('larger than the limit, by its declared length, is 413 before it is read', async () => {
    const socket = connect(edge.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    // Only the head: an edge that waits for the body never answers.
    socket.write(
      `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${BODY_LIMIT + 1}\r\n\r\n`,
    );
    await closed;
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text.toLowerCase()).toContain('connection: close');
    expect(edge.seen).toEqual([]);
  });

  it('larger than the limit, in chunks, is 413', async () => {
    const socket = connect(edge.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => undefined);
    socket.write(
      `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const part = 'x'.repeat(16 * 1024);
    for (let n = 0; n < 4; n++) socket.write(`4000\r\n${part}\r\n`);
    socket.write('1\r\nx\r\n');
    await waitFor('the refusal', () => text.startsWith('HTTP/1.1 413 '));
    expect(edge.seen).toEqual([]);
    socket.destroy();
  });

  it.each(['declared', 'chunked'])(
    'far larger than the limit reaches its sender as 413 while it is still writing (%s)',
    async (how) => {
      const body = 'x'.repeat(16 * 1024 * 1024);
      const length: Record<string, string> =
        how === 'declared' ? { 'content-length': String(body.length) } : { 'transfer-encoding': 'chunked' };
      const answer = await send(post(body, length));
      expect(answer.status).toBe(413);
    },
  );

  it('of exactly the limit is taken', async () => {
    const frame = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping', params: { text: '' } });
    const body = frame.replace('""', `"${'x'.repeat(BODY_LIMIT - frame.length)}"`);
    expect(Buffer.byteLength(body)).toBe(BODY_LIMIT);
    expect((await send(post(body))).status).toBe(200);
  });

  it('in many pieces, split inside a character, is read whole', async () => {
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'grüße' } }));
    const socket = connect(edge.port, '127.0.0.1').setNoDelay(true);
    socket.write(
      `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    for (const byte of body) {
      await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await waitFor('the request', () => edge.seen.length === 1);
    expect(edge.seen[0]?.body).toMatchObject({ message: { params: { name: 'grüße', server_id: 'support' } } });
    socket.destroy();
  });

  it('of a caller that leaves in the middle begins nothing and keeps no connection', async () => {
    const socket = connect(edge.port, '127.0.0.1');
    socket.write(
      `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"json`,
    );
    await waitFor('the connection', async () => (await edge.openConnections()) === 1);
    socket.destroy();
    await waitFor('the connection to go', async () => (await edge.openConnections()) === 0);
    expect([edge.seen, edge.refused]).toEqual([[], []]);
  });
});

describe('OPTIONS', () => {
  it('says what is allowed, and to browsers of an allowed origin more', async () => {
    const plain = await send({ method: 'OPTIONS', path: PATH });
    expect([plain.status, plain.headers.allow, plain.headers['access-control-allow-origin']]).toEqual([
      204,
      'GET, POST, DELETE',
      undefined,
    ]);
    const browser = await send({
      method: 'OPTIONS',
      path: PATH,
      headers: { origin: 'https://app.test', 'access-control-request-headers': 'mcp-param-x' },
    });
    expect(browser.headers['access-control-allow-origin']).toBe('https://app.test');
    expect(browser.headers['access-control-allow-headers']?.toLowerCase()).toContain('mcp-param-x');
  });

  it('from a foreign origin is 403', async () => {
    await expectError({ method: 'OPTIONS', path: PATH, headers: { origin: 'https://evil.test' } }, 403, -32000);
  });

  it('answers to browsers carry CORS, errors included', async () => {
    for (const raw of [PING, post('no JSON')]) {
      const answer = await send(withHeaders({ origin: 'https://app.test' }, raw));
      expect(answer.headers['access-control-allow-origin']).toBe('https://app.test');
      expect(answer.headers['access-control-expose-headers']).toContain('Mcp-Session-Id');
    }
  });
});

describe('other pages', () => {
  it.each(['/livez', '/readyz'])('%s answers whatever Host it is asked by', async (path) => {
    expect((await send({ method: 'GET', path, headers: { host: 'evil.test' } })).status).toBe(200);
  });

  it('readyz says no while the worker drains', async () => {
    edge.draining = true;
    const answer = await send({ method: 'GET', path: '/readyz' });
    expect([answer.status, JSON.parse(answer.body).reasons]).toEqual([503, ['draining']]);
  });

  it('an unknown path is a JSON 404, and the page at / is guarded like everything else', async () => {
    const unknown = await send({ method: 'GET', path: '/unknown' });
    expect([unknown.status, JSON.parse(unknown.body).error.code]).toEqual([404, -32000]);
    expect((await send({ method: 'GET', path: '/' })).body).toContain('/servers/support/mcp');
    expect((await send({ method: 'GET', path: '/', headers: { host: 'evil.test' } })).status).toBe(403);
  });
});

it('while the worker drains, answers close their connections', async () => {
  edge.draining = true;
  expect((await send(PING)).headers.connection).toBe('close');
});

it('an aborted call is told to whoever serves it, and writing on is harmless', async () => {
  let aborted = false;
  edge.execute = async (exchange) => {
    exchange.onAbort(() => {
      aborted = true;
      exchange.answer.write('x');
      exchange.answer.send(200, {}, 'late');
      exchange.answer.end();
    });
    exchange.answer.start(200, { 'content-type': 'text/event-stream' });
  };
  const socket = connect(edge.port, '127.0.0.1');
  const body = PING.body as string;
  socket.write(
    `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await new Promise((resolve) => socket.once('data', resolve));
  socket.destroy();
  await waitFor('the abort', () => aborted);
  expect(edge.seen[0]?.aborted).toBe(true);
});

it('ends open GET streams cleanly when a drain asks for it', async () => {
  let left = false;
  edge.execute = (exchange) =>
    new Promise((resolve) => {
      exchange.answer.start(200, { 'content-type': 'text/event-stream' });
      exchange.answer.write('retry: 4000\n\n');
      exchange.onAbort(() => {
        left = true;
        resolve();
      });
    });
  const answer = send({ method: 'GET', path: PATH, headers: { accept: 'text/event-stream' } });
  await waitFor('the stream', () => edge.seen.length === 1);
  edge.endpoint.endStreams();
  // A reset would reject here.
  expect((await answer).body).toBe('retry: 4000\n\n');
  expect(left).toBe(true);
});
