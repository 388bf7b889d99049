// S1: two pods of two workers behind a balancer that chooses anew for every request. To client and backend it is one server.
import { holderOfTcp } from '../../support/processes.js';
import { type RecordingBackend, startRecordingBackend } from '../../support/recording-backend.js';
import { connectSdkClient } from '../../support/sdk-client.js';
import { cluster, shareCluster } from '../../support/shared-cluster.js';

const CALLS = 200;
const PATH = '/servers/used/mcp';

let backend: RecordingBackend;

shareCluster({
  async begin() {
    backend = await startRecordingBackend();
    return { mcpServers: { used: { type: 'http', url: backend.url } } };
  },
  end: () => backend.close(),
});

test('200 calls of the SDK client through four workers are one backend session, each call run once', async () => {
  const callers = new Set<number>();
  backend.onConnection = (peer, self) => {
    const pids = cluster.workers().map(({ pid }) => pid);
    const holder = holderOfTcp(peer, self, pids);
    if (holder !== undefined) callers.add(holder);
  };

  const sentBefore = cluster.balancer.sent.slice();
  const session = await connectSdkClient(cluster.url(PATH));
  const { tools } = await session.client.listTools();
  expect(tools.map(({ name }) => name).sort()).toEqual(['ask', 'counter', 'echo', 'emit', 'fail', 'pour', 'slow', 'whoami']);

  const owner = await cluster.ownerOf(session.sessionId);
  for (let call = 1; call <= CALLS / 2; call += 1) {
    expect(await session.callText('counter', { nonce: `count-${call}` })).toBe(String(call));
    expect(await session.callText('echo', { nonce: `echo-${call}`, text: 'ä' })).toBe(`echo-${call}:ä`);
  }
  await session.close();

  expect(backend.issued).toHaveLength(1);
  expect(backend.requestsOf('POST', 'initialize')).toHaveLength(1);
  const nonces = backend.calls.map(({ nonce }) => nonce);
  expect(nonces).toHaveLength(CALLS);
  expect(new Set(nonces).size).toBe(CALLS);
  expect(new Set(backend.calls.map(({ sessionId }) => sessionId))).toEqual(new Set(backend.issued));
  expect([...callers]).toEqual([owner.pid]);
  // The balancer did its part: both pods had half of the requests.
  const sent = cluster.balancer.sent.map((count, i) => count - (sentBefore[i] ?? 0));
  expect(Math.min(...sent)).toBeGreaterThan(CALLS / 3);
  expect(await cluster.ownerOf(session.sessionId)).toMatchObject({ worker: owner.worker, epoch: owner.epoch });
});

test('calls that run at the same time through all workers each get their own answer', async () => {
  const before = backend.issued.length;
  const session = await connectSdkClient(cluster.url(PATH));
  const texts = await Promise.all(
    Array.from({ length: 60 }, (_, i) => session.callText('echo', { nonce: `at-once-${i}`, text: 'x' })),
  );
  expect(texts).toEqual(Array.from({ length: 60 }, (_, i) => `at-once-${i}:x`));
  // The first calls raced to open the backend session: one won, the others used it.
  expect(backend.issued.length - before).toBe(1);
  await session.close();
});

test('no request is answered by a session of another client', async () => {
  const sessions = await Promise.all(Array.from({ length: 8 }, () => connectSdkClient(cluster.url(PATH))));
  const tags = await Promise.all(sessions.map((session) => session.callText('whoami')));
  expect(new Set(tags).size).toBe(sessions.length);
  const again = await Promise.all(sessions.map((session) => session.callText('whoami')));
  expect(again).toEqual(tags);
  await Promise.all(sessions.map((session) => session.end()));
});
