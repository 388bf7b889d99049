// What the public edge refuses before it has read it, or because of the connection it came over.
import { connect } from 'node:net';
import { collect, JSON_HEADERS, type RawRequest, requestText, rpc, sendRaw } from '../../support/raw-request.js';
import { waitFor } from '../../support/wait-for.js';
import { Edge } from './edge-fixture.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const PATH = '/servers/support/mcp';
const LARGE_HEAD = `POST ${PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: */*\r\n`;
let edge: Edge;
afterEach(() => edge.stop());

const post = (message: object): RawRequest => ({ path: PATH, headers: JSON_HEADERS, body: JSON.stringify(message) });
const large = (id: number) => post({ jsonrpc: '2.0', id, method: 'tools/call', params: { text: 'x'.repeat(100 * KIB) } });
const expectRefusal = ({ status, headers, body }: Awaited<ReturnType<typeof sendRaw>>, reason: string, id: unknown) => {
  expect([status, JSON.parse(body)]).toMatchObject([503, { id, error: { code: -32000, data: { reason } } }]);
  expect(headers).toMatchObject({ 'retry-after': '1', connection: 'close' });
};

test('large bodies beyond the room for them get 503 before they are read, small ones pass; what ends makes room', async () => {
  edge = await new Edge({ bodyBytes: 150 * KIB, roomBytes: 150 * KIB }).start();
  const ends: Array<() => void> = [];
  edge.execute = ({ answer }) =>
    new Promise((end) => {
      ends.push(() => {
        answer.send(200, { 'content-type': 'application/json' }, '{"ok":true}');
        end();
      });
    });
  const first = sendRaw(edge.origin, large(1));
  await waitFor('the first to be under way', () => ends.length === 1);
  // Only its head is sent: the answer does not wait for a body.
  const socket = connect(edge.port, '127.0.0.1');
  socket.write(`${LARGE_HEAD}content-length: ${100 * KIB}\r\n\r\n`);
  const [head] = (await new Promise((resolve) => socket.once('data', (...all) => resolve(all)))) as [Buffer];
  expect(head.toString()).toMatch(/^HTTP\/1\.1 503 .*\r\nretry-after: 1\r\n.*"reason":"bodies"/is);
  socket.destroy();
  // Of one without a length nobody knows before.
  const chunked = { ...large(3), headers: { ...JSON_HEADERS, 'transfer-encoding': 'chunked' } };
  expectRefusal(await sendRaw(edge.origin, chunked), 'bodies', null);
  const small = sendRaw(edge.origin, rpc(PATH, undefined, 'ping'));
  await waitFor('the small one to be under way', () => ends.length === 2);
  for (const end of ends.splice(0)) end();
  expect([(await first).status, (await small).status, edge.bodyRoom.bytes]).toEqual([200, 200, 0]);
  const again = sendRaw(edge.origin, large(4));
  await waitFor('the last to be under way', () => ends.length === 1);
  ends[0]?.();
  expect((await again).status).toBe(200);
  await waitFor('its room to be free', () => edge.bodyRoom.bytes === 0);
});

/** Writes all of it before it looks at the answer, as many clients do. @returns everything that came until the end */
async function writeThenRead(pieces: readonly string[]): Promise<string> {
  const socket = connect({ port: edge.port, host: '127.0.0.1', allowHalfOpen: true });
  try {
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    for (const piece of pieces) {
      await new Promise<void>((resolve, reject) => socket.write(piece, (error) => (error ? reject(error) : resolve())));
    }
    const answer = collect(socket);
    await waitFor('the end of the answer', () => answer.isClosed || failure !== undefined);
    expect(failure).toBeUndefined();
    return answer.text;
  } finally {
    socket.destroy();
  }
}

test.each([
  ['beyond the room for all', 503, 'bodies', { bodyBytes: 32 * MIB, roomBytes: 32 * MIB }, true],
  ['larger than one may be', 413, '65536', {}, true],
  ['larger than one may be, as its head says', 413, '65536', {}, false],
])('a body %s: its client reads the whole %i after it has written 12 MiB', async (_, status, word, options, isChunked) => {
  edge = await new Edge(options).start();
  edge.bodyRoom.take(31 * MIB);
  const piece = 'x'.repeat(MIB);
  const pieces = Array.from({ length: 12 }, () => (isChunked ? `${MIB.toString(16)}\r\n${piece}\r\n` : piece));
  const head = LARGE_HEAD + (isChunked ? 'transfer-encoding: chunked' : `content-length: ${12 * MIB}`);
  const text = await writeThenRead([`${head}\r\n\r\n`, ...pieces, isChunked ? '0\r\n\r\n' : '']);
  const [answerHead = '', body = ''] = text.split('\r\n\r\n');
  expect(answerHead).toMatch(new RegExp(`^HTTP/1.1 ${status} .*\r\nconnection: close`, 'is'));
  expect(JSON.stringify(JSON.parse(body))).toContain(word);
  await waitFor('the connection to be closed', async () => (await edge.openConnections()) === 0);
});

test('what comes behind a refused body is not begun: its answer would never leave', async () => {
  edge = await new Edge().start();
  const request = requestText(rpc(PATH, undefined, 'tools/call', {}, 'behind'));
  const pieces = Array.from({ length: 4 }, () => 'x'.repeat(MIB));
  const text = await writeThenRead([`${LARGE_HEAD}content-length: ${4 * MIB}\r\n\r\n`, ...pieces, request]);
  expect(text.match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 413']);
  expect(edge.seen).toEqual([]);
});

test('of a refused body so much is read into nothing, and no more', async () => {
  edge = await new Edge().start();
  const pieces = Array.from({ length: 64 }, () => 'x'.repeat(MIB));
  await expect(writeThenRead([`${LARGE_HEAD}content-length: ${64 * MIB}\r\n\r\n`, ...pieces])).rejects.toThrow();
  await waitFor('the connection to be closed', async () => (await edge.openConnections()) === 0);
});

test('a caller that leaves in the middle of a large body leaves no place taken', async () => {
  edge = await new Edge({ bodyBytes: 150 * KIB, roomBytes: 150 * KIB }).start();
  const socket = connect(edge.port, '127.0.0.1');
  socket.write(`${LARGE_HEAD}content-length: ${100 * KIB}\r\n\r\n{${'x'.repeat(80 * KIB)}`);
  await waitFor('its place to be taken', () => edge.bodyRoom.bytes > 80 * KIB);
  socket.destroy();
  await waitFor('its place to be free', () => edge.bodyRoom.bytes === 0);
});

test('over a connection too many requests and streams get 503, the rest is served; then it ends', async () => {
  edge = await new Edge({ maxConnections: 1 }).start();
  const kept = connect(edge.port, '127.0.0.1');
  await waitFor('the first connection', async () => (await edge.openConnections()) === 1);
  // Without an agent node asks for the end of the connection itself, and would be answered with it anyway.
  const send = (raw: RawRequest) =>
    sendRaw(edge.origin, { ...raw, headers: { ...raw.headers, connection: 'keep-alive' } as Record<string, string> });
  expectRefusal(await send(rpc(PATH, undefined, 'tools/call', {}, 'mine')), 'connections', 'mine');
  expectRefusal(await send({ method: 'GET', path: PATH, headers: { accept: 'text/event-stream' } }), 'connections', null);
  expect(edge.seen).toEqual([]);
  const ended = await send({ method: 'DELETE', path: PATH });
  const told = await send(post({ jsonrpc: '2.0', method: 'notifications/initialized' }));
  expect([ended.status, ended.headers.connection, told.status, told.headers.connection]).toEqual([200, 'close', 200, 'close']);
  const probe = await send({ method: 'GET', path: '/livez' });
  expect([probe.status, probe.headers.connection]).toEqual([200, 'close']);
  expect(edge.refused).toEqual(['OVERLOADED', 'OVERLOADED']);
  kept.destroy();
  await waitFor('the first connection to be gone', async () => (await edge.openConnections()) === 0);
  expect((await send(rpc(PATH, undefined, 'ping'))).status).toBe(200);
});
