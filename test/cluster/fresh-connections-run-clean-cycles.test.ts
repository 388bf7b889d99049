// S2: a Service without affinity and a new connection for each request: initialize, list, call, DELETE, a hundred times.
import { type Cluster, startCluster } from '../support/cluster.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

const CYCLES = 100;

let backend: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend();
  cluster = await startCluster({
    pods: 3,
    workers: 1,
    order: { seed: 7 },
    config: { mcpServers: { recorder: { type: 'http', url: backend.url } } },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
});

test('100 cycles of initialize, list, call and DELETE through three pods leave nothing behind', async () => {
  for (let cycle = 0; cycle < CYCLES; cycle += 1) {
    const session = await connectSdkClient(cluster.url('/servers/recorder/mcp'));
    await session.client.listTools();
    expect(await session.callText('counter', { nonce: `cycle-${cycle}` })).toBe('1');
    await session.end();
  }
  expect(backend.calls).toHaveLength(CYCLES);
  await waitFor(
    () => `one DELETE for each of ${backend.issued.length} backend sessions; ${backend.requestsOf('DELETE').length} came`,
    () => backend.requestsOf('DELETE').length >= backend.issued.length,
    20_000,
  );
  expect(
    backend
      .requestsOf('DELETE')
      .map(({ sessionId }) => sessionId)
      .sort(),
  ).toEqual([...backend.issued].sort());
  // No key survives its purpose: what is left belongs to workers and queue, not to sessions.
  await waitFor('no session key in Redis', async () => (await cluster.keys()).every((key) => !key.endsWith(':session')));
});
