// S95, S96, S82, S109: DELETE on a worker that does not own the session is as quick and as final as on the owner.
import { openSession, type RawRequest, rpc, sendRaw, toolCall } from '../../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../../support/recording-backend.js';
import { cluster, shareCluster } from '../../support/shared-cluster.js';
import { waitFor } from '../../support/wait-for.js';

const PATH = '/servers/deleted/mcp';
/** DESIGN: milliseconds. The rest is room for a busy test machine. */
const ACCEPTED_WITHIN_MS = 500;

let backend: RecordingBackend;

shareCluster({
  async begin() {
    backend = await startRecordingBackend();
    return { mcpServers: { deleted: { type: 'http', url: backend.url, headers: { authorization: 'Bearer backend-token' } } } };
  },
  end: () => backend.close(),
});

const deletion = (sessionId: string): RawRequest => ({ method: 'DELETE', path: PATH, headers: { 'mcp-session-id': sessionId } });

async function openUsedSession(): Promise<string> {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const [first] = cluster.workers();
  expect((await first?.pod.sendTo(first.pid, toolCall(PATH, sessionId, 'counter')))?.status).toBe(200);
  return sessionId;
}

test('DELETE through each worker that is not the owner: 202, then 404 everywhere, one DELETE at the backend', async () => {
  for (const { pid, pod } of cluster.workers()) {
    const sessionId = await openUsedSession();
    const owner = await cluster.ownerOf(sessionId);
    if (owner.pid === pid) continue;
    const backendSession = backend.issued.at(-1);

    const accepted = await pod.sendTo(pid, deletion(sessionId));
    expect(accepted).toMatchObject({ status: 202, body: '' });
    for (const any of cluster.workers()) {
      const dead = await any.pod.sendTo(any.pid, rpc(PATH, sessionId, 'tools/list', {}, 'late'));
      expect(dead.status).toBe(404);
      expect(JSON.parse(dead.body)).toMatchObject({ id: 'late', error: { code: -32001 } });
      expect((await any.pod.sendTo(any.pid, deletion(sessionId))).status).toBe(404);
    }
    const deletes = () => backend.requestsOf('DELETE').filter((one) => one.sessionId === backendSession);
    await waitFor(`a DELETE of backend session ${backendSession}`, () => deletes().length > 0);
    expect(deletes()).toHaveLength(1);
    expect(deletes()[0]?.headers).toMatchObject({
      authorization: 'Bearer backend-token',
      'mcp-protocol-version': expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
    });
  }
  expect(backend.requests.some(({ sessionId }) => sessionId !== undefined && !backend.issued.includes(sessionId))).toBe(false);
});

test('a backend that hangs delays no DELETE and gets its own later', async () => {
  const sessionId = await openUsedSession();
  const owner = await cluster.ownerOf(sessionId);
  const other = cluster.workers().find(({ pid }) => pid !== owner.pid);
  if (other === undefined) throw new Error('one worker only');
  // The first forwarded request of this pair opens its connection; the time of the DELETE is to be measured, not that.
  await other.pod.sendTo(other.pid, rpc(PATH, sessionId, 'ping'));

  const deletesBefore = backend.requestsOf('DELETE').length;
  const hung = backend.hang(({ method }) => method === 'DELETE');
  const socket = await other.pod.connectTo(other.pid);
  const startedAt = performance.now();
  expect((await sendRaw(other.pod.origin, deletion(sessionId), socket)).status).toBe(202);
  expect(performance.now() - startedAt).toBeLessThan(ACCEPTED_WITHIN_MS);

  await waitFor('the DELETE to reach the backend', () => backend.requestsOf('DELETE').length === deletesBefore + 1);
  expect(backend.requestsOf('DELETE').at(-1)?.sessionId).toBe(backend.issued.at(-1));
  hung.release();
});

test('a call in flight gets the unknown-session answer when its session is deleted', async () => {
  const sessionId = await openUsedSession();
  const callsBefore = backend.requestsOf('POST', 'tools/call').length;
  const hung = backend.hang(({ rpcMethod }) => rpcMethod === 'tools/call');
  const [first] = cluster.workers();
  if (first === undefined) throw new Error('no worker');
  const call = toolCall(PATH, sessionId, 'echo', { nonce: 'in-flight' }, 'open-call');
  const answer = first.pod.sendTo(first.pid, { ...call, headers: { ...call.headers, accept: 'application/json' } });
  await waitFor('the call to reach the backend', () => backend.requestsOf('POST', 'tools/call').length === callsBefore + 1);

  const last = cluster.workers().at(-1);
  expect((await last?.pod.sendTo(last.pid, deletion(sessionId)))?.status).toBe(202);
  expect(JSON.parse((await answer).body)).toMatchObject({ id: 'open-call', error: { code: -32001 } });
  hung.release();
});
