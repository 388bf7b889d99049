// S112: kill -9 of every worker of a pod while the backend has the DELETE: whoever is started next finds the job stalled and runs it.
import { sessionKeys } from '../support/census.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { openSession, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
/** A job of a dead worker is found within twice 15 s; the rest is room for a busy machine. */
const RUN_AGAIN_WITHIN_MS = 75_000;

let backend: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend();
  cluster = await startCluster({
    pods: 1,
    config: { sessions: { idleTimeout: '2s' }, mcpServers: { recorder: { type: 'http', url: backend.url } } },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
});

test('a teardown whose worker was killed is run by another', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const [first] = cluster.workers();
  expect((await first?.pod.sendTo(first.pid, toolCall(PATH, sessionId, 'counter', { nonce: 'used' })))?.status).toBe(200);
  const hung = backend.hang(({ method }) => method === 'DELETE');
  await waitFor('the DELETE to reach the backend', () => backend.requestsOf('DELETE').length === 1, 20_000);
  for (const { pid } of cluster.workers()) process.kill(pid, 'SIGKILL');
  hung.release();
  await waitFor('the DELETE to be sent once more', () => backend.requestsOf('DELETE').length > 1, RUN_AGAIN_WITHIN_MS);
  expect(new Set(backend.requestsOf('DELETE').map(({ sessionId: id }) => id))).toEqual(new Set(backend.issued));
  await waitFor('no key of the session to be left', async () => (await sessionKeys(cluster)).length === 0, RUN_AGAIN_WITHIN_MS);
});
