// S1 and S11 for HTTP+SSE: the stream belongs to the worker that owns the session. Any worker serves it, and when its owner dies the
// next one opens a stream of its own: only what the client had built up in the old one is gone.
import { type Cluster, startCluster } from '../support/cluster.js';
import { isAlive, killNow } from '../support/processes.js';
import { connectSdkClient } from '../support/sdk-client.js';
import { type SdkSseBackend, startSdkSseBackend } from '../support/sdk-sse-backend.js';
import { waitFor } from '../support/wait-for.js';

const CALLS = 40;

let backend: SdkSseBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startSdkSseBackend();
  cluster = await startCluster({
    config: {
      mcpServers: {
        legacy: { type: 'sse', url: backend.url },
        strict: { type: 'sse', url: backend.url, onStateLoss: 'fail' },
      },
    },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
});

test('calls through four workers reach one stream, each once; DELETE ends it, and no DELETE is sent', async () => {
  const session = await connectSdkClient(cluster.url('/servers/legacy/mcp'));
  for (let call = 1; call <= CALLS; call += 1)
    expect(await session.callText('counter', { nonce: `n-${call}` })).toBe(String(call));
  expect(new Set(backend.calls.map(({ sessionId }) => sessionId)).size).toBe(1);
  const nonces = backend.calls.map(({ nonce }) => nonce);
  expect(new Set(nonces).size).toBe(CALLS);
  expect(nonces).toHaveLength(CALLS);
  await session.end();
  await waitFor('the stream to end with its session', () => backend.open.size === 0);
  expect(backend.methods).not.toContain('DELETE');
  await waitFor('the record to be gone', async () => !(await cluster.keys()).some((key) => key.endsWith(':session')));
});

test('kill -9 of the owner: the session goes on under its id, with a new stream', async () => {
  const session = await connectSdkClient(cluster.url('/servers/legacy/mcp'));
  expect(await session.callText('counter', { nonce: 'a' })).toBe('1');
  expect(await session.callText('counter', { nonce: 'b' })).toBe('2');
  const issued = backend.issued.length;
  const before = await cluster.ownerOf(session.sessionId);
  killNow(before.pid);
  await waitFor(`worker ${before.pid} to be dead`, () => !isAlive(before.pid));
  expect(await session.callText('counter', { nonce: 'c' })).toBe('1');
  expect((await cluster.ownerOf(session.sessionId)).epoch).toBe(before.epoch + 1);
  expect(backend.issued).toHaveLength(issued + 1);
  expect(backend.calls.filter(({ nonce }) => nonce === 'c')).toHaveLength(1);
  await session.end();
  await waitFor('the stream to end with its session', () => backend.open.size === 0);
});

test('with onStateLoss: fail the session ends with 404, and nothing is reported as success', async () => {
  const session = await connectSdkClient(cluster.url('/servers/strict/mcp'));
  expect(await session.callText('counter', { nonce: 'x' })).toBe('1');
  const before = await cluster.ownerOf(session.sessionId);
  killNow(before.pid);
  await waitFor(`worker ${before.pid} to be dead`, () => !isAlive(before.pid));
  await expect(session.callText('counter', { nonce: 'y' })).rejects.toMatchObject({ code: 404 });
  expect(backend.calls.filter(({ nonce }) => nonce === 'y')).toHaveLength(0);
  await session.close();
});
