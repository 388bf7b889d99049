// S76: the tokens of a backend are the cluster's. Nobody is refused when one runs out, one worker fetches the next, and nothing of it
// can be read in Redis or in a log.
import { type Cluster, startCluster } from '../support/cluster.js';
import { holderOfTcp, killNow } from '../support/processes.js';
import { rpc, responseOf, sendRaw, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { startTokenServer, type TokenServer } from '../support/token-server.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';

let tokens: TokenServer;
let backend: RecordingBackend;
let cluster: Cluster;

beforeEach(async () => {
  tokens = await startTokenServer();
  backend = await startRecordingBackend({ json: true, authorize: ({ headers }) => tokens.isGood(headers.authorization) });
});
afterEach(async () => {
  await cluster?.dispose();
  await backend?.close();
  await tokens?.close();
});

async function start() {
  const oauth = { tokenUrl: tokens.url, clientId: 'berth', clientSecret: tokens.clientSecret, scope: 'mcp' };
  cluster = await startCluster({ pods: 2, workers: 3, config: { mcpServers: { recorder: { url: backend.url, oauth } } } });
}

/** One session on each worker, which therefore asks for the token itself. One after the other: they are dealt out in turn. */
async function openEverywhere() {
  const sessions = [];
  for (const { pid, pod } of cluster.workers()) {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
    const answer = await pod.sendTo(pid, rpc(PATH, undefined, 'initialize', params));
    sessions.push({ pid, pod, id: answer.headers['mcp-session-id'] as string });
  }
  return sessions;
}
type Sessions = Awaited<ReturnType<typeof openEverywhere>>;

let nonces = 0;
/** `count` calls at once, spread over the sessions. @returns what was no success */
async function burst(sessions: Sessions, count: number): Promise<unknown[]> {
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const { id } = sessions[i % sessions.length] as Sessions[0];
      const answer = await sendRaw(cluster.balancer.origin, toolCall(PATH, id, 'echo', { nonce: `n${nonces++}` }, i));
      return answer.status === 200 ? responseOf(answer) : { status: answer.status };
    }),
  );
  return answers.filter((answer) => !('result' in answer));
}

/** Everything in Redis and every line of every log. */
async function everythingSaid(): Promise<string> {
  const keys = await cluster.keys();
  const contents = await Promise.all(
    keys.map(async (key) => {
      switch (await cluster.client.type(key)) {
        case 'string':
          return cluster.client.get(key);
        case 'hash':
          return cluster.client.hgetall(key);
        case 'zset':
          return cluster.client.zrange(key, '0', '-1');
        case 'list':
          return cluster.client.lrange(key, 0, -1);
        default:
          return undefined;
      }
    }),
  );
  const metrics = await Promise.all(cluster.pods.map(async (pod) => (await fetch(pod.adminUrl('/metrics'))).text()));
  return JSON.stringify([keys, contents, metrics, cluster.pods.map((pod) => [pod.logs(), pod.stderr()])]);
}

test('100 requests when a token runs out, on 6 workers: one grant for each, and none is refused', async () => {
  tokens.nextLives.push(4);
  await start();
  const sessions = await openEverywhere();
  await waitFor(
    () => `the second token to be used; ${tokens.granted.length} granted`,
    async () => {
      expect(await burst(sessions, 100)).toEqual([]);
      return backend.calls.length > 0 && backend.requests.at(-1)?.headers.authorization === `Bearer ${tokens.granted[1]}`;
    },
    45_000,
  );
  expect(await burst(sessions, 100)).toEqual([]);
  expect(tokens.requests).toHaveLength(2);
  const sent = new Set(backend.requests.map(({ headers }) => headers.authorization));
  expect([...sent]).toEqual(tokens.granted.map((token) => `Bearer ${token}`));

  const said = await everythingSaid();
  for (const secret of [...tokens.granted, tokens.clientSecret]) expect(said).not.toContain(secret);
  expect(said).toContain('fetched a token');
});

test('a worker dies while it fetches: another one does, and DELETE still goes out with a good token', async () => {
  tokens.mode = { kind: 'hang' };
  await start();
  const sessions = await openEverywhere();
  const first = burst(sessions, 12);
  const { peer, self } = await waitFor('the request of one worker', () => tokens.hanging[0], 15_000);
  expect(tokens.requests).toHaveLength(1);
  const holder = holderOfTcp(
    peer,
    self,
    cluster.workers().map(({ pid }) => pid),
  );
  expect(holder).toBeDefined();
  tokens.mode = { kind: 'grant' };
  killNow(holder as number);
  const failed = await first;
  // Only those that were with the worker that died: as its edge, or in flight to it.
  for (const answer of failed) {
    if (!('error' in (answer as object))) expect(answer).toEqual({ status: 502 });
    else expect(answer).toMatchObject({ error: { code: -32012 } });
  }
  expect(tokens.requests).toHaveLength(2);
  expect(await burst(sessions, 12)).toEqual([]);

  // Nobody has noticed yet that it was taken back: the teardown does, and asks for another one.
  tokens.revoke();
  for (const { id } of sessions) {
    const deletion = { ...rpc(PATH, id, 'x'), method: 'DELETE', body: '' };
    expect((await sendRaw(cluster.balancer.origin, deletion)).status).toBe(202);
  }
  const ended = () =>
    new Set(
      backend
        .requestsOf('DELETE')
        .filter(({ headers }) => headers.authorization === `Bearer ${tokens.granted.at(-1)}`)
        .map(({ sessionId }) => sessionId),
    );
  await waitFor(
    () => `${backend.issued.length} backend sessions to be ended, ${ended().size} were`,
    () => backend.issued.every((id) => ended().has(id)),
    30_000,
  );
  expect(tokens.granted).toHaveLength(2);
}, 120_000);

test('the token endpoint is away: who has a good token is served, who has none is told why', async () => {
  tokens.mode = { kind: 'status', status: 401, body: '{"error":"invalid_client"}' };
  await start();
  const sessions = await openEverywhere();
  const refused = await burst(sessions, 60);
  expect(refused).toHaveLength(60);
  for (const answer of refused) {
    expect(answer).toMatchObject({ error: { code: -32010, data: { backend: 'recorder', reason: 'oauth_refused' } } });
  }
  // Not shared, since it may be the secret of that worker alone; but no worker asks once per request.
  expect(tokens.requests.length).toBeLessThanOrEqual(18);
  expect(backend.requests).toHaveLength(0);
  tokens.mode = { kind: 'grant' };
  await waitFor('the backend to be served', async () => (await burst(sessions, 6)).length === 0, 30_000);
  tokens.mode = { kind: 'status', status: 503 };
  expect(await burst(sessions, 60)).toEqual([]);
  const said = await everythingSaid();
  for (const secret of [...tokens.granted, tokens.clientSecret]) expect(said).not.toContain(secret);
});
