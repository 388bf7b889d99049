// Redis is restarted from a file that does not know the last take-overs and endings: nobody serves a session that another serves, no
// session is lost, and what was ended stays ended (DESIGN 3, rules 9 and 10; S20).
import { Redis } from 'ioredis';
import { type Cluster, startCluster } from '../support/cluster.js';
import { isAlive } from '../support/processes.js';
import { openSession, sendRaw, toolCall } from '../support/raw-request.js';
import type { Pod } from '../support/pod.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
/** A lease after the return nobody claims; then the requests that were held are served. */
const SETTLED_WITHIN_MS = 20_000;

let backend: RecordingBackend;
let cluster: Cluster;

beforeEach(async () => {
  backend = await startRecordingBackend({ json: true });
  cluster = await startCluster({ pods: 3, workers: 1, config: { mcpServers: { recorder: { type: 'http', url: backend.url } } } });
});
afterEach(async () => {
  await cluster?.dispose();
  await backend?.close();
});

async function saveData(): Promise<void> {
  const client = new Redis(cluster.redis.url);
  await client.save();
  client.disconnect();
}

/** @returns the per-session counter of the backend */
async function count(pod: Pod, sessionId: string, nonce: string): Promise<string> {
  const answer = await sendRaw(pod.origin, toolCall(PATH, sessionId, 'counter', { nonce }));
  if (answer.status !== 200) throw new Error(`${nonce} of ${sessionId} at ${pod.host}: ${answer.status} ${answer.body}`);
  return JSON.parse(answer.body).result?.content?.[0]?.text ?? answer.body;
}

/** Sessions that a pod's workers hold in memory. */
async function held(pod: Pod): Promise<number> {
  const text = await (await fetch(pod.adminUrl('/metrics'))).text();
  return [...text.matchAll(/^berth_sessions\{[^}]*\} (\d+)$/gm)].reduce((sum, [, value]) => sum + Number(value), 0);
}

test('a session that was taken over since then has one owner, who goes on with it', async () => {
  const [first, second, third] = cluster.pods as [Pod, Pod, Pod];
  const sessions = await Promise.all(Array.from({ length: 8 }, () => openSession(first.origin, PATH)));
  for (const session of sessions) expect(await count(first, session, 'one')).toBe('1');
  await saveData();

  const victim = first.workers()[0] as number;
  process.kill(victim, 'SIGKILL');
  await waitFor(`worker ${victim} to be dead`, () => !isAlive(victim));
  for (const session of sessions) expect(await count(second, session, 'two')).toBe('2');
  await cluster.redis.restart();

  const ask = async (pod: Pod, nonce: string) => Promise.all(sessions.map((session) => count(pod, session, nonce)));
  await Promise.all([ask(third, 'three'), ask(second, 'four')]);
  expect(await ask(first, 'five')).toEqual(sessions.map(() => '5'));
  expect(backend.issued).toHaveLength(sessions.length);
  expect(new Set(backend.calls.map(({ sessionId, nonce }) => `${sessionId} ${nonce}`)).size).toBe(backend.calls.length);
  await waitFor(
    () => `each session to be held by one worker`,
    async () => (await Promise.all(cluster.pods.map(held))).reduce((sum, one) => sum + one, 0) === sessions.length,
  );
}, 60_000);

test('a session that was ended since then stays ended; the others live on', async () => {
  const [first, second] = cluster.pods as [Pod, Pod, Pod];
  const sessions = await Promise.all(Array.from({ length: 10 }, (_, i) => openSession((i % 2 ? first : second).origin, PATH)));
  for (const session of sessions) expect(await count(first, session, 'one')).toBe('1');
  await saveData();
  const [ended, living] = [sessions.slice(0, 5), sessions.slice(5)];
  for (const session of ended) {
    const headers = { 'mcp-session-id': session };
    expect((await sendRaw(second.origin, { method: 'DELETE', path: PATH, headers })).status).toBe(202);
  }
  await cluster.redis.restart();

  for (const session of living) expect(await count(second, session, 'two')).toBe('2');
  await waitFor(
    'the ended sessions to be gone on every pod',
    async () => {
      const answers = await Promise.all(
        cluster.pods.flatMap((pod) =>
          ended.map((session) => sendRaw(pod.origin, toolCall(PATH, session, 'counter', { nonce: 'late' }))),
        ),
      );
      return answers.every(({ status }) => status === 404);
    },
    SETTLED_WITHIN_MS,
  );
  await waitFor(
    'no record of them',
    async () => (await cluster.keys()).filter((key) => key.endsWith('}:session')).length === living.length,
  );
}, 60_000);
