// DESIGN 5, "within a session a name never changes its meaning": also when its owner dies or releases it, and another backend has come
// to have a tool of the same name by the time the next owner looks.
import { makeKeys } from '../../src/directory/keys.js';
import { referenceOf, type SessionId } from '../../src/protocol/ids.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { isAlive } from '../support/processes.js';
import { openSession, responseOf, rpc, toolCall } from '../support/raw-request.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/both/mcp';
const ECHO = { name: 'echo', inputSchema: {} };
const OTHER = { name: 'other', inputSchema: {} };

let a: StrictBackend;
let b: StrictBackend;
let ofA: object[];
let cluster: Cluster;

beforeEach(async () => {
  ofA = [OTHER];
  a = await StrictBackend.start({
    get tools() {
      return ofA;
    },
  } as never);
  b = await StrictBackend.start({ tools: [ECHO] } as never);
  cluster = await startCluster({
    pods: 1,
    config: {
      sessions: { releaseAfter: '1s' },
      mcpServers: { a: { type: 'http', url: a.url }, b: { type: 'http', url: b.url } },
      servers: { both: { backends: ['a', 'b'] } },
    },
  });
});
afterEach(async () => {
  await cluster?.dispose();
  await Promise.all([a?.close(), b?.close()]);
});

const fieldOf = (sessionId: string, field: string) =>
  cluster.client.hget(makeKeys(cluster.prefix).session(referenceOf(sessionId as SessionId)), field);

async function callEcho(sessionId: string, pid: number): Promise<void> {
  const worker = cluster.workers().find((one) => one.pid === pid);
  const answer = await worker?.pod.sendTo(pid, toolCall(PATH, sessionId, 'echo', { text: 'hi' }));
  expect(responseOf(answer as never)).toMatchObject({ result: { content: [{ text: 'hi' }] } });
}

test.each(['killed', 'released'])('the next owner of a session that was %s takes a name for what its client saw', async (how) => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const owner = await cluster.ownerOf(sessionId);
  const listed = await owner.pod.sendTo(owner.pid, rpc(PATH, sessionId, 'tools/list', {}));
  expect(responseOf(listed)).toMatchObject({ result: { tools: [{ name: 'other' }, { name: 'echo' }] } });
  await callEcho(sessionId, owner.pid);
  await waitFor('the names to be in the record', async () => (await fieldOf(sessionId, 'n:tools'))?.includes('"b":["echo"]'));

  // It serves already, but knows no catalog: it forwards.
  const next = cluster.workers().find(({ pid }) => pid !== owner.pid);
  await waitFor('the other worker to serve', async () => {
    return (await next?.pod.sendTo(next.pid, rpc(PATH, sessionId, 'ping')))?.status === 200;
  });

  ofA = [OTHER, ECHO];
  if (how === 'killed') {
    process.kill(owner.pid, 'SIGKILL');
    await waitFor('the owner to be dead', () => !isAlive(owner.pid));
  } else await waitFor('the session to be released', async () => (await fieldOf(sessionId, 'owner')) === '', 10_000);
  await callEcho(sessionId, next?.pid ?? 0);
  expect(b.of('tools/call')).toHaveLength(2);
  expect(a.of('tools/call')).toHaveLength(0);
});
