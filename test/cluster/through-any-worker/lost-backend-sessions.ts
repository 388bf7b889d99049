// DESIGN 5, "Lost session": the backend forgot it. The gateway initializes once more and repeats the call that did not run.
import { type RecordingBackend, startRecordingBackend } from '../../support/recording-backend.js';
import { connectSdkClient } from '../../support/sdk-client.js';
import { cluster, shareCluster } from '../../support/shared-cluster.js';

const ANSWERS = [404, 400, 'text'] as const;

const backends = new Map<(typeof ANSWERS)[number], RecordingBackend>();

shareCluster({
  async begin() {
    for (const lostSession of ANSWERS) backends.set(lostSession, await startRecordingBackend({ lostSession }));
    const entries = [...backends].map(([name, { url }]) => [`answers-${name}`, { type: 'http', url }]);
    return { mcpServers: Object.fromEntries(entries) };
  },
  end: () => Promise.all([...backends.values()].map((backend) => backend.close())),
});

test.each(ANSWERS)('a backend that answers %s for a session it forgot costs the client nothing but its state', async (name) => {
  const backend = backends.get(name) as RecordingBackend;
  const session = await connectSdkClient(cluster.url(`/servers/answers-${name}/mcp`));
  expect(await session.callText('counter', { nonce: 'a' })).toBe('1');
  backend.forgetSessions();

  const texts = await Promise.all(Array.from({ length: 20 }, (_, i) => session.callText('echo', { nonce: `n-${i}`, text: 'x' })));
  expect(texts).toEqual(Array.from({ length: 20 }, (_, i) => `n-${i}:x`));
  expect(await session.callText('counter', { nonce: 'b' })).toBe('1');
  expect(backend.issued).toHaveLength(2);
  // Each call ran once.
  expect(new Set(backend.calls.map(({ nonce }) => nonce)).size).toBe(backend.calls.length);
  await session.end();
});
