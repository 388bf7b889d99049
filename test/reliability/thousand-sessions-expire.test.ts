// Issue, S90: a thousand sessions expire at once, each with a session at a healthy backend and one at a backend that is dead by then.
// Neither requests nor the teardown of the healthy backend wait for the dead one; when it is back, its sessions are ended as well.
import { sessionKeys } from '../support/census.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { openSession, responseOf, rpc, toolCall } from '../support/raw-request.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/both/mcp';
const SESSIONS = 1000;
const AT_ONCE = 20;
/** Longer than opening them all takes on a busy machine. */
const IDLE_S = 120;

let healthy: StrictBackend;
let dead: StrictBackend;
let cluster: Cluster;

beforeAll(async () => {
  healthy = await StrictBackend.start({ tools: [{ name: 'echo', inputSchema: {} }] });
  dead = await StrictBackend.start({ tools: [{ name: 'count', inputSchema: {} }] });
  cluster = await startCluster({
    pods: 1,
    config: {
      sessions: { idleTimeout: `${IDLE_S}s`, max: 5000, maxPerPrincipal: 5000 },
      mcpServers: { healthy: { type: 'http', url: healthy.url }, dead: { type: 'http', url: dead.url } },
      servers: { both: { backends: ['healthy', 'dead'] } },
      log: { level: 'warn', format: 'json' },
    },
  });
}, 60_000);
afterAll(async () => {
  await cluster?.dispose();
  await Promise.all([healthy?.close(), dead?.close()]);
});

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const rest = [...items.entries()];
  const one = async () => {
    for (let next = rest.shift(); next; next = rest.shift()) results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return results;
}

const post = async (request: ReturnType<typeof rpc>): Promise<ReturnType<typeof responseOf>> => {
  const answer = await fetch(cluster.url(request.path), {
    method: 'POST',
    headers: request.headers as Record<string, string>,
    body: request.body as string,
  });
  return responseOf({ status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() });
};

const endedAt = (backend: StrictBackend) => new Set(backend.of('DELETE').map(({ sessionId }) => sessionId)).size;

test('one dead backend holds up neither requests nor the teardown of another', async () => {
  const sessions = await inParallel(Array.from({ length: SESSIONS }), async () => {
    const sessionId = await openSession(cluster.balancer.origin, PATH);
    for (const tool of ['echo', 'count'])
      expect(await post(toolCall(PATH, sessionId, tool, { text: 'x' }))).toMatchObject({ result: {} });
    return sessionId;
  });
  expect([healthy.issued.length, dead.issued.length]).toEqual([SESSIONS, SESSIONS]);
  // All used at the same time: they expire at the same time.
  for (const answer of await inParallel(sessions, (sessionId) => post(rpc(PATH, sessionId, 'ping'))))
    expect(answer).toMatchObject({ result: {} });
  dead.always('DELETE', () => undefined);

  const live = await openSession(cluster.balancer.origin, PATH);
  const nonce = (i: number) => toolCall(PATH, live, 'echo', { text: `n-${i}` });
  let calls = 0;
  await waitFor(
    () =>
      `the healthy backend to be rid of its ${SESSIONS} sessions, not ${endedAt(healthy)}; the dead one was asked to end ${endedAt(dead)}`,
    async () => {
      calls++;
      expect(await post(nonce(calls))).toMatchObject({ result: { content: [{ text: `n-${calls}` }] } });
      return endedAt(healthy) >= SESSIONS;
    },
    (IDLE_S + 120) * 1000,
  );
  expect(calls).toBeGreaterThan(100);
  expect(dead.sessionCount).toBe(SESSIONS);
  expect((await sessionKeys(cluster)).filter((key) => key.includes(':jobs:t-')).length).toBeGreaterThan(SESSIONS / 2);

  dead.always('DELETE', undefined);
  await waitFor(
    () => `the other backend, which is back, to be rid of its sessions: ${dead.sessionCount} are left`,
    () => dead.sessionCount === 0,
    300_000,
  );
  await waitFor(
    'the live session to expire and no key to be left',
    async () => (await sessionKeys(cluster)).length === 0,
    120_000,
  );
  expect(healthy.sessionCount).toBe(0);
}, 900_000);
