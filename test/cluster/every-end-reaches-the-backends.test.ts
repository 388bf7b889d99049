// S54, S90, S95, S96, S109, S110, S115: whatever ends a session, each of its backend sessions gets one DELETE with its own id, version
// and headers; nothing readable lies in Redis before, and no key of the session after. The end of a worker ends no session.
import { dumpRedis, sessionKeys } from '../support/census.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { openSession, type RawRequest, responseOf, rpc, toolCall } from '../support/raw-request.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/both/mcp';
const IDLE_MS = 4000;
const SOON_MS = 30_000;

let a: StrictBackend;
let b: StrictBackend;
let cluster: Cluster;
let tenant = 0;

beforeAll(async () => {
  a = await StrictBackend.start({ idPrefix: 'secret-id-of-a', tools: [{ name: 'echo', inputSchema: {} }] });
  b = await StrictBackend.start({
    ...{ idPrefix: 'secret-id-of-b', protocolVersion: '2025-03-26' },
    tools: [{ name: 'count', inputSchema: {} }],
  });
  cluster = await startCluster({
    pods: 2,
    workers: 1,
    config: {
      sessions: { idleTimeout: `${IDLE_MS}ms` },
      mcpServers: {
        a: { type: 'http', url: a.url, headers: { authorization: 'Bearer static-token-of-a' }, forwardHeaders: ['x-tenant'] },
        b: { type: 'http', url: b.url },
      },
      servers: { both: { backends: ['a', 'b'] } },
    },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await Promise.all([a?.close(), b?.close()]);
});

interface Used {
  readonly sessionId: string;
  readonly tenant: string;
  readonly ofA: string;
  readonly ofB: string;
}

/** With one session at each backend. */
async function useSession(): Promise<Used> {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const name = `secret-tenant-${++tenant}`;
  const [worker] = cluster.workers();
  for (const tool of ['echo', 'count']) {
    const call = toolCall(PATH, sessionId, tool, { text: 'x' });
    const answer = await worker?.pod.sendTo(worker.pid, { ...call, headers: { ...call.headers, 'x-tenant': name } });
    expect(responseOf(answer as never)).toMatchObject({ result: {} });
  }
  return { sessionId, tenant: name, ofA: a.issued.at(-1) as string, ofB: b.issued.at(-1) as string };
}

const deletion = (sessionId: string): RawRequest => ({ method: 'DELETE', path: PATH, headers: { 'mcp-session-id': sessionId } });
const deletesOf = (backend: StrictBackend, id: string) => backend.of('DELETE').filter(({ sessionId }) => sessionId === id);

async function expectOneDeleteEach({ sessionId, tenant: name, ofA, ofB }: Used): Promise<void> {
  await waitFor('both backends to get their DELETE', () => deletesOf(a, ofA).length > 0 && deletesOf(b, ofB).length > 0, SOON_MS);
  await waitFor('no key of the session to be left', async () => (await sessionKeys(cluster)).length === 0, SOON_MS);
  expect([deletesOf(a, ofA).length, deletesOf(b, ofB).length]).toEqual([1, 1]);
  expect(deletesOf(a, ofA)[0]?.headers).toMatchObject({
    ...{ authorization: 'Bearer static-token-of-a', 'x-tenant': name, 'mcp-protocol-version': '2025-11-25' },
  });
  expect(deletesOf(b, ofB)[0]?.headers).toMatchObject({ 'mcp-protocol-version': '2025-03-26' });
  expect(deletesOf(b, ofB)[0]?.headers).not.toHaveProperty('x-tenant');
  for (const { pod, pid } of cluster.workers()) {
    expect((await pod.sendTo(pid, rpc(PATH, sessionId, 'ping'))).status).toBe(404);
    expect((await pod.sendTo(pid, deletion(sessionId))).status).toBe(404);
  }
  expect([deletesOf(a, ofA).length, deletesOf(b, ofB).length]).toEqual([1, 1]);
}

test.each(['the owner', 'another worker'])('a DELETE through %s', async (through) => {
  const used = await useSession();
  const owner = await cluster.ownerOf(used.sessionId);
  const worker = cluster.workers().find(({ pid }) => (pid === owner.pid) === (through === 'the owner'));
  expect((await worker?.pod.sendTo(worker.pid, deletion(used.sessionId)))?.status).toBe(202);
  await expectOneDeleteEach(used);
});

test('the end of its idle time; nothing readable at rest meanwhile', async () => {
  const used = await useSession();
  // While the backends do not answer, the jobs lie in the queue.
  for (const backend of [a, b]) backend.once('DELETE', (_, response) => void response.writeHead(503).end());
  const before = await dumpRedis(cluster);
  await waitFor('the first attempts', () => deletesOf(a, used.ofA).length + deletesOf(b, used.ofB).length === 2, SOON_MS);
  const during = await dumpRedis(cluster);
  expect(before.length).toBeGreaterThan(1000);
  for (const secret of ['secret-id', 'secret-tenant', 'static-token', 'Bearer', used.sessionId]) {
    expect(before).not.toContain(secret);
    expect(during).not.toContain(secret);
  }
  await waitFor('no key of the session to be left', async () => (await sessionKeys(cluster)).length === 0, SOON_MS);
  expect([deletesOf(a, used.ofA).length, deletesOf(b, used.ofB).length]).toEqual([2, 2]);
});

test('the end of its worker ends nothing: the session goes on at another with the same backend sessions', async () => {
  const used = await useSession();
  const owner = await cluster.ownerOf(used.sessionId);
  expect((await owner.pod.stop()).code).toBe(0);
  const [worker] = cluster.workers();
  const answer = await worker?.pod.sendTo(worker.pid, toolCall(PATH, used.sessionId, 'count'));
  expect(responseOf(answer as never)).toMatchObject({ result: { content: [{ text: '2' }] } });
  expect([deletesOf(a, used.ofA).length, deletesOf(b, used.ofB).length]).toEqual([0, 0]);
  await expectOneDeleteEach(used);
});
