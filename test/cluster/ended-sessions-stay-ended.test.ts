// S82: an end that races with calls, with the death of the owner, with the loss of Redis' data. Once it was accepted no worker serves the
// session again, and its backend session is ended.
import type { Socket } from 'node:net';
import { type Cluster, startCluster } from '../support/cluster.js';
import { isAlive } from '../support/processes.js';
import { openSession, type RawRequest, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
const SETTLED_WITHIN_MS = 40_000;

let backend: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend({ json: true });
  cluster = await startCluster({
    pods: 2,
    config: { internal: { lease: '3s' }, mcpServers: { recorder: { type: 'http', url: backend.url } } },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
});

const deletion = (sessionId: string): RawRequest => ({ method: 'DELETE', path: PATH, headers: { 'mcp-session-id': sessionId } });
const counter = (sessionId: string, nonce: string) => toolCall(PATH, sessionId, 'counter', { nonce });

async function openUsed() {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const owner = await cluster.ownerOf(sessionId);
  expect((await owner.pod.sendTo(owner.pid, counter(sessionId, `first ${sessionId}`))).status).toBe(200);
  return { sessionId, owner, backendSession: backend.issued.at(-1) as string };
}

/** 404 on every worker, three times over; before that it may be held (503), never served. */
async function staysEnded(sessionId: string, backendSession: string): Promise<void> {
  for (let round = 0; round < 3; round++) {
    for (const { pod, pid } of cluster.workers()) {
      await waitFor(
        () => `404 for the ended session at worker ${pid}`,
        async () => {
          const { status } = await pod.sendTo(pid, counter(sessionId, `late ${sessionId}`));
          expect([404, 503]).toContain(status);
          return status === 404;
        },
        SETTLED_WITHIN_MS,
      );
    }
  }
  // What was begun before may have run late.
  expect(backend.calls.filter(({ nonce }) => nonce === `late ${sessionId}`)).toEqual([]);
  await waitFor(
    () => `a DELETE of backend session ${backendSession}`,
    () => backend.requestsOf('DELETE').some(({ sessionId: id }) => id === backendSession),
    SETTLED_WITHIN_MS,
  );
}

test('DELETE among calls through all workers', async () => {
  const { sessionId, backendSession } = await openUsed();
  // Connected before: connections are dealt out in turn, so that whoever looks for a worker must do it alone.
  const lines: Array<{ origin: string; socket: Socket }> = [];
  for (const { pod, pid } of [...cluster.workers(), ...cluster.workers(), ...cluster.workers()])
    lines.push({ origin: pod.origin, socket: await waitFor('a connection', () => pod.connectTo(pid), 20_000) });
  const calls = lines.slice(1).map(({ origin, socket }, i) => sendRaw(origin, counter(sessionId, `${i} ${sessionId}`), socket));
  expect((await sendRaw(lines[0]?.origin ?? '', deletion(sessionId), lines[0]?.socket)).status).toBe(202);
  for (const { status } of await Promise.all(calls)) expect([200, 404]).toContain(status);
  await staysEnded(sessionId, backendSession);
});

test('DELETE while its owner is killed and a call takes it over', async () => {
  const { sessionId, owner, backendSession } = await openUsed();
  const others = cluster.workers().filter(({ pod }) => pod !== owner.pod);
  const sockets: Socket[] = [];
  for (const { pod, pid } of others) sockets.push(await waitFor('a connection', () => pod.connectTo(pid), 20_000));
  process.kill(owner.pid, 'SIGKILL');
  await waitFor(`worker ${owner.pid} to be dead`, () => !isAlive(owner.pid));
  const origin = others[0]?.pod.origin ?? '';
  const call = sendRaw(origin, counter(sessionId, `take-over ${sessionId}`), sockets[0]);
  expect((await sendRaw(origin, deletion(sessionId), sockets[1])).status).toBe(202);
  expect([200, 404]).toContain((await call).status);
  await staysEnded(sessionId, backendSession);
});

test('a Redis that is flushed right after a DELETE was accepted', async () => {
  const { sessionId, owner, backendSession } = await openUsed();
  expect((await owner.pod.sendTo(owner.pid, deletion(sessionId))).status).toBe(202);
  await cluster.client.flushall();
  await staysEnded(sessionId, backendSession);
  // Its neighbours live on.
  const after = await openSession(cluster.balancer.origin, PATH);
  const [any] = cluster.workers();
  expect((await any?.pod.sendTo(any.pid, rpc(PATH, after, 'ping')))?.status).toBe(200);
});
