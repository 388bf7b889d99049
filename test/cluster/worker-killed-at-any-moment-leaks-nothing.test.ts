// S53, S112, S114, I5: kill -9 while a backend session is opened, and between the end of a session and its jobs (while a job runs: see
// test/reliability). Every backend session whose id was saved is ended within the idle limit and a minute.
import { sessionKeys } from '../support/census.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { isAlive } from '../support/processes.js';
import { openSession, type RawRequest, responseOf, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
/** Idle limit (5 s), a minute, and room for a busy machine. */
const ENDED_WITHIN_MS = 75_000;

let backend: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend();
  cluster = await startCluster({
    pods: 1,
    workers: 3,
    config: { sessions: { idleTimeout: '5s' }, mcpServers: { recorder: { type: 'http', url: backend.url } } },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
});

async function kill(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await waitFor(`worker ${pid} to be dead`, () => !isAlive(pid));
}

/** One DELETE or more of each: a second one is answered with 404. */
async function everythingEnds(issued = backend.issued): Promise<void> {
  const ended = () => new Set(backend.requestsOf('DELETE').map(({ sessionId }) => sessionId));
  await waitFor(
    () => `a DELETE of each of ${issued}; there were ${[...ended()]}`,
    () => issued.every((id) => ended().has(id)),
    ENDED_WITHIN_MS,
  );
  await waitFor('no key of the session to be left', async () => (await sessionKeys(cluster)).length === 0, ENDED_WITHIN_MS);
}

const call = (sessionId: string, nonce: string): Promise<unknown> => {
  const [first] = cluster.workers();
  const raw = toolCall(PATH, sessionId, 'counter', { nonce });
  return first?.pod.sendTo(first.pid, raw).catch((error: unknown) => error) ?? Promise.resolve();
};

test('while the backend has notifications/initialized: the next owner sends it with the saved id, then the call', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const hung = backend.hang(({ rpcMethod }) => rpcMethod === 'notifications/initialized');
  const owner = await cluster.ownerOf(sessionId);
  const lost = owner.pod.sendTo(owner.pid, toolCall(PATH, sessionId, 'counter', { nonce: 'lost' })).catch(() => undefined);
  await waitFor(
    'the handshake to be at its last step',
    () => backend.requestsOf('POST', 'notifications/initialized').length === 1,
  );
  await kill(owner.pid);
  await lost;
  hung.release();
  const seen = backend.requests.length;

  const answer = await cluster
    .workers()[0]
    ?.pod.sendTo(cluster.workers()[0]?.pid ?? 0, toolCall(PATH, sessionId, 'counter', { nonce: 'after' }));
  expect(responseOf(answer as never)).toMatchObject({ result: { content: [{ text: '1' }] } });
  const after = backend.requests.slice(seen).filter(({ method }) => method === 'POST');
  expect(after.map(({ rpcMethod }) => rpcMethod).slice(0, 2)).toEqual(['notifications/initialized', expect.any(String)]);
  expect(after.every(({ sessionId: id }) => id === backend.issued[0])).toBe(true);
  expect(backend.issued).toHaveLength(1);
  await everythingEnds();
});

test('between the end of a session and its jobs: the sweep goes on with it', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  await call(sessionId, 'used');
  const owner = await cluster.ownerOf(sessionId);
  // The queue takes no job as long as a key of it is of another kind.
  const meta = `{${cluster.prefix}teardown}:jobs:meta`;
  await cluster.client.rename(meta, `${meta}:aside`);
  await cluster.client.set(meta, 'no hash');
  const deletion: RawRequest = { method: 'DELETE', path: PATH, headers: { 'mcp-session-id': sessionId } };
  expect((await owner.pod.sendTo(owner.pid, deletion)).status).toBe(202);
  await kill(owner.pid);
  const last = backend.issued.at(-1);
  expect(backend.requestsOf('DELETE').some(({ sessionId: id }) => id === last)).toBe(false);
  await cluster.client.rename(`${meta}:aside`, meta);
  await everythingEnds();
});

test('while the backend answers initialize: at most the id that never reached Redis is left', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const before = backend.requestsOf('POST', 'initialize').length;
  const seen = backend.requests.length;
  const hung = backend.hang(({ rpcMethod }) => rpcMethod === 'initialize');
  const owner = await cluster.ownerOf(sessionId);
  const lost = owner.pod.sendTo(owner.pid, toolCall(PATH, sessionId, 'counter', { nonce: 'lost' })).catch(() => undefined);
  await waitFor('initialize to reach the backend', () => backend.requestsOf('POST', 'initialize').length > before);
  await kill(owner.pid);
  await lost;
  hung.release();
  await call(sessionId, 'after-2');
  await waitFor('the next owner to have opened a backend session', () => backend.calls.some(({ nonce }) => nonce === 'after-2'));
  const used = backend.calls.filter(({ nonce }) => nonce === 'after-2').map(({ sessionId: id }) => id);
  const sent = backend.requests.slice(seen);
  expect(sent.every(({ sessionId: id }) => id === undefined || used.includes(id))).toBe(true);
  await everythingEnds(used);
});
