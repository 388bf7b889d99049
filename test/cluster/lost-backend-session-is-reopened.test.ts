// DESIGN 5, "Lost session": the backend forgot it. The gateway initializes once more and repeats the call that did not run.
import { type Cluster, startCluster } from '../support/cluster.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient } from '../support/sdk-client.js';

describe.each([404, 400, 'text'] as const)('a backend that answers %s for a session it forgot', (lostSession) => {
  let backend: RecordingBackend;
  let cluster: Cluster;

  beforeAll(async () => {
    backend = await startRecordingBackend({ lostSession });
    cluster = await startCluster({ config: { mcpServers: { recorder: { type: 'http', url: backend.url } } } });
  });
  afterAll(async () => {
    await cluster?.dispose();
    await backend?.close();
  });

  test('costs the client nothing but its state, and runs each call once', async () => {
    const session = await connectSdkClient(cluster.url('/servers/recorder/mcp'));
    expect(await session.callText('counter', { nonce: 'a' })).toBe('1');
    backend.forgetSessions();

    const texts = await Promise.all(
      Array.from({ length: 20 }, (_, i) => session.callText('echo', { nonce: `n-${i}`, text: 'x' })),
    );
    expect(texts).toEqual(Array.from({ length: 20 }, (_, i) => `n-${i}:x`));
    expect(await session.callText('counter', { nonce: 'b' })).toBe('1');
    expect(backend.issued).toHaveLength(2);
    expect(new Set(backend.calls.map(({ nonce }) => nonce)).size).toBe(backend.calls.length);
    await session.end();
  });
});
