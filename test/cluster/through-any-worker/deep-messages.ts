// I8: a message that can be read but not written again (nested deeper than the stack reaches) must cost nobody but its sender anything.
import { JSON_HEADERS, openSession, sendRaw, toolCall } from '../../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../../support/recording-backend.js';
import { cluster, shareCluster } from '../../support/shared-cluster.js';

const PATH = '/servers/deep/mcp';
const DEPTH = 200_000;

let backend: RecordingBackend;

shareCluster({
  async begin() {
    backend = await startRecordingBackend();
    return { mcpServers: { deep: { type: 'http', url: backend.url } } };
  },
  end: () => backend.close(),
});

test('a notification 200 000 levels deep is not passed on, and its owner lives', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  expect((await sendRaw(cluster.balancer.origin, toolCall(PATH, sessionId, 'counter'))).status).toBe(200);
  const before = await cluster.ownerOf(sessionId);
  const deep = `${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}`;
  const answer = await sendRaw(cluster.balancer.origin, {
    path: PATH,
    headers: { ...JSON_HEADERS, 'mcp-session-id': sessionId },
    body: `{"jsonrpc":"2.0","method":"notifications/deep","params":{"a":${deep}}}`,
  });
  expect(answer.status).toBe(202);
  expect((await sendRaw(cluster.balancer.origin, toolCall(PATH, sessionId, 'counter'))).body).toContain('"2"');
  expect(await cluster.ownerOf(sessionId)).toEqual(before);
});
