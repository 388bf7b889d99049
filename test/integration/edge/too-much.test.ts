// What the public edge refuses before it has read it, or because of the connection it came over.
import { connect } from 'node:net';
import { JSON_HEADERS, type RawRequest, rpc, sendRaw } from '../../support/raw-request.js';
import { waitFor } from '../../support/wait-for.js';
import { Edge } from './edge-fixture.js';

const KIB = 1024;
const PATH = '/servers/support/mcp';
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
  socket.write(
    `POST ${PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: */*\r\ncontent-length: ${100 * KIB}\r\n\r\n`,
  );
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

test('a caller that leaves in the middle of a large body leaves no place taken', async () => {
  edge = await new Edge({ bodyBytes: 150 * KIB, roomBytes: 150 * KIB }).start();
  const socket = connect(edge.port, '127.0.0.1');
  socket.write(
    `POST ${PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: */*\r\ncontent-length: ${100 * KIB}\r\n\r\n{${'x'.repeat(80 * KIB)}`,
  );
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
