// Backend sessions that nobody could end lie among the dead letters (S111): told by any pod, tried again, dropped, counted.
import { askAdmin, runBerth } from '../support/admin.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import type { Pod } from '../support/pod.js';
import { openSession, sendRaw, toolCall } from '../support/raw-request.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/strict/mcp';
/** Counted every 15 s. */
const COUNTED_WITHIN_MS = 40_000;

let backend: StrictBackend;
let cluster: Cluster;
let pods: readonly [Pod, Pod];

beforeAll(async () => {
  backend = await StrictBackend.start();
  cluster = await startCluster({
    config: { mcpServers: { strict: { type: 'http', url: backend.url, headers: { authorization: 'Bearer backend-token' } } } },
  });
  pods = cluster.pods as unknown as readonly [Pod, Pod];
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
});

/** Ends a session that has used its backend; @returns the id at the backend */
async function endSession(): Promise<string> {
  const origin = pods[0].origin;
  const sessionId = await openSession(origin, PATH);
  expect((await sendRaw(origin, toolCall(PATH, sessionId, 'echo', { text: 'x' }))).status).toBe(200);
  const headers = { 'mcp-session-id': sessionId };
  expect((await sendRaw(origin, { method: 'DELETE', path: PATH, headers })).status).toBe(202);
  return backend.issued.at(-1) as string;
}

const failed = async (pod: Pod) => (await askAdmin(pod, '/api/teardowns')).body;
const untilFailed = (count: number) =>
  waitFor(`${count} dead letters`, async () => (await failed(pods[1])).total === count && failed(pods[1]), 20_000);

test('they are listed, tried again until the backend accepts, and dropped', async () => {
  backend.always('DELETE', (_request, response) => void response.writeHead(401).end());
  const first = await endSession();
  const { teardowns } = await untilFailed(1);
  const [letter] = teardowns;
  expect(letter).toMatchObject({
    backend: 'strict',
    state: 'failed',
    reason: 'refused',
    attempts: 1,
    session: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
    failed: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  const { text } = await askAdmin(pods[0], '/api/teardowns');
  for (const secret of [first, 'backend-token', 'sealed']) expect(text).not.toContain(secret);
  await waitFor(
    'the metric to count it',
    async () => /berth_teardown_jobs\{state="failed"\} 1\n/.test(await (await fetch(pods[0].adminUrl('/metrics'))).text()),
    COUNTED_WITHIN_MS,
  );

  const refused = await runBerth(pods[0], ['teardowns', 'retry', letter.id]);
  expect(refused).toEqual({ code: 0, out: `${letter.id}  retried\n`, err: '' });
  await waitFor('the second DELETE', () => backend.of('DELETE').length === 2);
  await untilFailed(1);

  backend.always('DELETE', undefined);
  expect((await askAdmin(pods[1], `/api/teardowns/${letter.id}/retry`, 'POST')).status).toBe(200);
  await untilFailed(0);
  await waitFor('its backend session to be ended', () => backend.of('DELETE').at(-1)?.sessionId === first);
  await waitFor(
    'it to be done and unknown',
    async () => (await askAdmin(pods[0], `/api/teardowns/${letter.id}/retry`, 'POST')).status === 404,
  );

  backend.always('DELETE', (_request, response) => void response.writeHead(403).end());
  await endSession();
  await endSession();
  const two = await untilFailed(2);
  const dropped = await askAdmin(pods[0], `/api/teardowns/${two.teardowns[0].id}`, 'DELETE');
  expect([dropped.status, dropped.body.dropped]).toEqual([200, true]);
  const gone = await runBerth(pods[0], ['teardowns', 'drop', two.teardowns[0].id, two.teardowns[1].id]);
  expect([gone.code, gone.out]).toEqual([1, `${two.teardowns[1].id}  dropped\n`]);
  expect(gone.err).toContain('no such teardown');

  await endSession();
  await endSession();
  await untilFailed(2);
  backend.always('DELETE', undefined);
  expect((await runBerth(pods[1], ['teardowns', 'retry', '--backend', 'another'])).out).toBe('0 retried\n');
  expect((await runBerth(pods[1], ['teardowns', 'retry', '--all'])).out).toBe('2 retried\n');
  await untilFailed(0);
  expect((await runBerth(pods[1], ['teardowns', 'list'])).out).toContain('0 shown of 0');
});
