// A worker that hangs (SIGSTOP) hangs no answer of the admin API: it is told as silent, its sessions can be killed, and its own pod
// still answers. While Redis hangs, the API says so instead of hanging with it.
import { referenceOf, type SessionId } from '../../src/protocol/ids.js';
import { askAdmin } from '../support/admin.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import type { Pod } from '../support/pod.js';
import { isAlive } from '../support/processes.js';
import { openSession, rpc, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
/** The question to the next worker, and what a busy machine adds. */
const ANSWERED_WITHIN_MS = 15_000;

let backend: RecordingBackend;
let cluster: Cluster;
let stopped: number | undefined;

beforeAll(async () => {
  backend = await startRecordingBackend();
  // The lease outlasts the test: the stopped worker counts as alive all the while.
  cluster = await startCluster({
    config: {
      mcpServers: { recorder: { type: 'http', url: backend.url } },
      internal: { lease: '60s' },
      limits: { hold: '62s' },
    },
  });
});
afterEach(() => {
  if (stopped !== undefined && isAlive(stopped)) process.kill(stopped, 'SIGCONT');
  stopped = undefined;
});
afterAll(async () => {
  cluster?.redis.resume();
  await cluster?.dispose();
  await backend?.close();
});

async function ask(pod: Pod, path: string, method?: string) {
  const since = performance.now();
  const reply = await askAdmin(pod, path, method);
  expect(performance.now() - since).toBeLessThan(ANSWERED_WITHIN_MS);
  return reply;
}

test('it is told as silent, by its own pod too, and its session is killed in its place', async () => {
  const sessionId = await openSession(cluster.pods[0]?.origin as string, PATH);
  const ref = referenceOf(sessionId as SessionId);
  const owner = await cluster.ownerOf(sessionId);
  expect((await owner.pod.sendTo(owner.pid, toolCall(PATH, sessionId, 'counter'))).status).toBe(200);
  const other = cluster.pods.find((pod) => pod !== owner.pod) as Pod;
  process.kill(owner.pid, 'SIGSTOP');
  stopped = owner.pid;

  // Its own pod twice: the first worker that is asked may be the stopped one.
  for (const pod of [other, owner.pod, owner.pod]) {
    const { status, body } = await ask(pod, '/api/workers');
    expect(status).toBe(200);
    const told = body.workers.map(({ id, answered, sessions }: Record<string, unknown>) => [
      id === owner.worker,
      answered,
      sessions,
    ]);
    expect(told).toHaveLength(4);
    expect(told).toContainEqual([true, false, null]);
    expect(told.filter(([, answered]: unknown[]) => answered)).toHaveLength(3);
  }
  const { body: backends } = await ask(other, '/api/backends');
  expect(backends.backends[0].workers).toContainEqual(
    expect.objectContaining({ worker: owner.worker, answered: false, state: null }),
  );
  expect((await ask(other, `/api/sessions/${ref}`)).body.owner).toBe(owner.worker);

  expect((await ask(other, `/api/sessions/${ref}`, 'DELETE')).status).toBe(202);
  for (const { pid, pod } of cluster.workers().filter(({ pod }) => pod === other)) {
    expect((await pod.sendTo(pid, rpc(PATH, sessionId, 'tools/list'))).status).toBe(404);
  }
  expect((await ask(other, `/api/sessions/${ref}`, 'DELETE')).status).toBe(404);
  process.kill(owner.pid, 'SIGCONT');
  await waitFor('the DELETE at the backend', () => backend.requestsOf('DELETE').length > 0, 20_000);
  await waitFor('it to answer again', async () => {
    const { body } = await askAdmin(owner.pod, '/api/workers');
    return body.workers.every(({ answered }: { answered: boolean }) => answered);
  });
});

test('while Redis hangs the API says so, and answers again when it is back', async () => {
  const pod = cluster.pods[0] as Pod;
  cluster.redis.pause();
  for (const path of ['/api/sessions', '/api/workers', '/api/teardowns', `/api/sessions/${'x'.repeat(22)}`]) {
    const { status, body } = await ask(pod, path);
    expect([path, status]).toEqual([path, 503]);
    expect(['REDIS_AWAY', 'NO_WORKER']).toContain(body.error.code);
  }
  cluster.redis.resume();
  await waitFor('sessions to be listed again', async () => (await askAdmin(pod, '/api/sessions')).status === 200, 20_000);
});
