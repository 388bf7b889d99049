// A worker that hangs (SIGSTOP) hangs no answer of the admin API: it is told as silent, its sessions can be killed, and its own pod
// still answers. While Redis hangs, the API says so instead of hanging with it.
import { referenceOf, type SessionId } from '../../src/protocol/ids.js';
import { askAdmin, runBerth } from '../support/admin.js';
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

test('a whole pod that hangs: the other one tells it as silent, ends its sessions, and the CLI says whom to ask instead', async () => {
  const [asked, hanging] = cluster.pods as readonly [Pod, Pod];
  const sessionId = await openSession(hanging.origin, PATH);
  const ref = referenceOf(sessionId as SessionId);
  const processes = [hanging.pid, ...hanging.workers()];
  const away = cluster.workers().filter(({ pod }) => pod === asked);
  // By heart: each of them has forwarded to it.
  for (const { pod, pid } of away) expect((await pod.sendTo(pid, rpc(PATH, sessionId, 'ping'))).status).toBe(200);
  for (const pid of processes) process.kill(pid, 'SIGSTOP');
  try {
    const { body } = await ask(asked, '/api/workers');
    expect(body.workers.map(({ answered }: { answered: boolean }) => answered).sort()).toEqual([false, false, true, true]);
    const answers = [runBerth(asked, ['workers']), runBerth(hanging, ['workers'])];
    const [told, silent] = await Promise.all(answers);
    expect([told?.code, silent?.code, silent?.out]).toEqual([0, 69, '']);
    expect(silent?.err).toMatch(/does not answer[\s\S]*ask another one, --admin URL/);
    expect((await ask(asked, `/api/sessions/${ref}`, 'DELETE')).status).toBe(202);
    const killedAt = performance.now();
    for (const { pod, pid } of away) expect((await pod.sendTo(pid, rpc(PATH, sessionId, 'tools/list'))).status).toBe(404);
    expect(performance.now() - killedAt).toBeLessThan(1000);
  } finally {
    for (const pid of processes) process.kill(pid, 'SIGCONT');
  }
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

test('a pod that drains still tells what holds it up, and lets it be ended', async () => {
  const draining = cluster.pods[1] as Pod;
  const sessionId = await openSession(draining.origin, PATH);
  const owner = await cluster.ownerOf(sessionId);
  const hung = backend.hang(({ rpcMethod }) => rpcMethod === 'tools/call');
  const before = backend.requestsOf('POST', 'tools/call').length;
  const call = owner.pod.sendTo(owner.pid, toolCall(PATH, sessionId, 'counter', {}, 'long'));
  await waitFor('the call to run', () => backend.requestsOf('POST', 'tools/call').length > before);
  const ended = owner.pod.stop();
  await waitFor('no worker to be ready', async () => (await fetch(owner.pod.adminUrl('/readyz'))).status === 503);
  const ref = referenceOf(sessionId as SessionId);
  expect((await ask(owner.pod, `/api/sessions/${ref}`)).body).toMatchObject({ ref, owner: owner.worker });
  expect((await ask(owner.pod, `/api/sessions/${ref}`, 'DELETE')).status).toBe(202);
  expect(JSON.parse((await call).body)).toMatchObject({ id: 'long', error: { code: -32001 } });
  hung.release();
  expect(await ended).toMatchObject({ code: 0 });
});
