// DELETE while the owner is stopped: accepted in its place, dead on every other worker; the owner, or who finds its
// lease gone, ends the backend session, once.
import { type Cluster, startCluster } from '../support/cluster.js';
import { isAlive } from '../support/processes.js';
import { openSession, type RawRequest, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
/** DESIGN: the owner has 1 s. The rest is room for a busy test machine. */
const ACCEPTED_WITHIN_MS = 2000;
const LEASE_MS = 6000;

let backend: RecordingBackend;
let cluster: Cluster;
let stopped: number | undefined;

beforeEach(async () => {
  backend = await startRecordingBackend();
  cluster = await startCluster({ config: { mcpServers: { recorder: { type: 'http', url: backend.url } } } });
});
afterEach(async () => {
  // A stopped worker would hold up the end of its pod.
  if (stopped !== undefined && isAlive(stopped)) process.kill(stopped, 'SIGCONT');
  stopped = undefined;
  await cluster?.dispose();
  await backend?.close();
});

const deletion = (sessionId: string): RawRequest => ({ method: 'DELETE', path: PATH, headers: { 'mcp-session-id': sessionId } });

/**
 * A used session whose owner is stopped, and the workers of the other pod, which have never heard of it: the owner's primary deals
 * connections to the stopped one as well, and who knows its owner by heart does not read the record.
 */
async function stopOwner() {
  const sessionId = await openSession(cluster.pods[0]?.origin as string, PATH);
  const owner = await cluster.ownerOf(sessionId);
  expect((await owner.pod.sendTo(owner.pid, toolCall(PATH, sessionId, 'counter'))).status).toBe(200);
  const others = cluster.workers().filter(({ pod }) => pod !== owner.pod);
  const [receiver, third] = others;
  if (!receiver || !third) throw new Error('two workers in the other pod were expected');
  process.kill(owner.pid, 'SIGSTOP');
  stopped = owner.pid;
  return { sessionId, owner, receiver, third };
}

/** Accepted in place of the silent owner, and 404 on the workers that live. */
async function deleteThroughAnother() {
  const { sessionId, owner, receiver, third } = await stopOwner();
  const socket = await receiver.pod.connectTo(receiver.pid);
  const startedAt = performance.now();
  const answer = await sendRaw(receiver.pod.origin, deletion(sessionId), socket);
  const tookMs = performance.now() - startedAt;
  expect(answer).toMatchObject({ status: 202, body: '', headers: { 'mcp-protocol-version': '2025-11-25' } });
  expect(tookMs).toBeLessThan(ACCEPTED_WITHIN_MS);
  for (const { pod, pid } of [receiver, third]) {
    const dead = await pod.sendTo(pid, rpc(PATH, sessionId, 'tools/list', {}, 'late'));
    expect(dead.status).toBe(404);
    expect(JSON.parse(dead.body)).toMatchObject({ id: 'late', error: { code: -32001 } });
    expect((await pod.sendTo(pid, deletion(sessionId))).status).toBe(404);
  }
  return { sessionId, owner };
}

async function endedOnce(): Promise<void> {
  await waitFor('the DELETE at the backend', () => backend.requestsOf('DELETE').length > 0, LEASE_MS + 10_000);
  await waitFor('no key of the session', async () => (await sessionKeys()).length === 0, 10_000);
  expect(backend.requestsOf('DELETE').map(({ sessionId }) => sessionId)).toEqual(backend.issued);
}

async function sessionKeys(): Promise<string[]> {
  const keys = await cluster.keys();
  return keys.map((key) => key.slice(cluster.prefix.length)).filter((key) => /:session$|^(expiry|ending|principal:)/.test(key));
}

test('an owner that is stopped for a while ends it when it wakes', async () => {
  const { owner } = await deleteThroughAnother();
  expect(backend.requestsOf('DELETE')).toEqual([]);
  process.kill(owner.pid, 'SIGCONT');
  await endedOnce();
  expect(isAlive(owner.pid)).toBe(true);
});

test('a stopped owner that is killed is replaced in this as well', async () => {
  const { owner } = await deleteThroughAnother();
  process.kill(owner.pid, 'SIGKILL');
  await waitFor('the owner to be dead', () => !isAlive(owner.pid));
  await endedOnce();
});

test('a stopped owner whose lease runs out is replaced, and leaves nothing behind when it wakes', async () => {
  const { owner } = await deleteThroughAnother();
  await endedOnce();
  process.kill(owner.pid, 'SIGCONT');
  // A record that is missing is waited for during a lease: who took the session over may have to write it anew.
  await waitFor(
    'the owner to have noticed its lapse',
    () => owner.pod.logs().some(({ msg }) => /claimed back/.test(String(msg))),
    15_000,
  );
  // What the owner still finishes from its memory goes through `ending` once more.
  await waitFor('no key of the session', async () => (await sessionKeys()).length === 0, 10_000);
  expect(new Set(backend.requestsOf('DELETE').map(({ sessionId }) => sessionId))).toEqual(new Set(backend.issued));
});
