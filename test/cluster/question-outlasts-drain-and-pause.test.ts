// A call that waits for an answer of the client gets it also while its worker drains, and after its worker was paused; never twice.
import type { Lease } from '../../src/directory/directory.js';
import { makeKeys } from '../../src/directory/keys.js';
import { answersAt, answerTo, askThrough, respondThrough } from '../support/asking.js';
import { type Cluster, type Ownership, startCluster } from '../support/cluster.js';
import { openSession, sendRaw, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { lasted, waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';

let backend: RecordingBackend;
let cluster: Cluster;
const stopped = new Set<number>();

beforeAll(async () => {
  backend = await startRecordingBackend();
  const config = {
    mcpServers: { recorder: { type: 'http', url: backend.url } },
    internal: { lease: '2s' },
    drain: { delay: '2s', timeout: '15s' },
  };
  cluster = await startCluster({ config });
});
afterAll(async () => {
  for (const pid of stopped) process.kill(pid, 'SIGCONT');
  await cluster?.dispose();
  await backend?.close();
});

/** A session owned by a worker of this pod, asked through the other pod. */
async function begin(nonce: string) {
  const [pod, other] = cluster.pods;
  const edge = cluster.workers().find((one) => one.pod === other);
  if (!pod || !edge) throw new Error('two pods are needed');
  const sessionId = await openSession(pod.origin, PATH, '2025-11-25', { roots: {} });
  const owner = await cluster.ownerOf(sessionId);
  const third = cluster.workers().find(({ pid, pod: of }) => of === other && pid !== edge.pid);
  if (owner.pod !== pod || !third) throw new Error(`owner ${owner.worker} of ${owner.pod.host}`);
  const asking = await askThrough(edge, PATH, sessionId, nonce);
  return { sessionId, owner, third, asking, asked: backend.issued.at(-1) as string };
}

/** @returns how to let it go on */
function stop({ pid }: Ownership): () => void {
  process.kill(pid, 'SIGSTOP');
  stopped.add(pid);
  return () => {
    stopped.delete(pid);
    process.kill(pid, 'SIGCONT');
  };
}

test('a pause shorter than the lease: the answer given meanwhile elsewhere arrives once, and the call gets it', async () => {
  const { sessionId, owner, third, asking, asked } = await begin('short');
  const goOn = stop(owner);
  const answered = respondThrough(third, PATH, sessionId, asking.question.id);
  await lasted(500);
  goOn();
  expect((await answered).status).toBe(202);
  await asking.done;
  expect(asking.text()).toContain('file:///here');
  expect(answersAt(backend, asked)).toBe(1);
  expect((await cluster.ownerOf(sessionId)).epoch).toBe(owner.epoch);
});

test('a pause longer than the lease: another worker delivers the answer, and who wakes up does not do it again', async () => {
  const { sessionId, owner, third, asking, asked } = await begin('long');
  const goOn = stop(owner);
  expect((await respondThrough(third, PATH, sessionId, asking.question.id)).status).toBe(202);
  await waitFor('the answer at the backend', () => answersAt(backend, asked) === 1);
  expect((await cluster.ownerOf(sessionId)).epoch).toBeGreaterThan(owner.epoch);
  goOn();
  await asking.done;
  // Whether the hop was found broken first or the one that woke up passed on what it had got: one answer, with the right id.
  expect(asking.text()).toMatch(/file:\/\/\/here|-32012/);
  expect(asking.text().match(/"id":"long"/g)).toHaveLength(1);
  // Whatever the one that was paused had still to read, it has read by then.
  await sendRaw(owner.pod.origin, toolCall(PATH, sessionId, 'echo'), await owner.pod.connectTo(owner.pid));
  expect((await respondThrough(third, PATH, sessionId, asking.question.id)).status).toBe(202);
  expect((await sendRaw(third.pod.origin, toolCall(PATH, sessionId, 'echo'))).status).toBe(200);
  expect(answersAt(backend, asked)).toBe(1);
});

test('SIGTERM while the client thinks: its answer is taken by another worker and by the one that drains', async () => {
  const [one, two] = [await begin('through another'), await begin('through itself')];
  // Opened before: a worker that drains keeps the connections it has.
  const { pod, pid } = two.owner;
  const socket = await pod.connectTo(pid);
  pod.signal('SIGTERM');
  const lease = makeKeys(cluster.prefix).lease(two.owner.worker);
  await waitFor(`worker ${two.owner.worker} to drain`, async () => {
    const text = await cluster.client.get(lease);
    return text !== null && (JSON.parse(text) as Lease).draining;
  });
  const itself = await sendRaw(pod.origin, answerTo(PATH, two.sessionId, two.asking.question.id), socket);
  expect(itself.status).toBe(202);
  expect((await respondThrough(one.third, PATH, one.sessionId, one.asking.question.id)).status).toBe(202);
  for (const { asking, asked } of [one, two]) {
    await asking.done;
    expect(asking.text()).toContain('file:///here');
    expect(answersAt(backend, asked)).toBe(1);
  }
  expect(await pod.exited).toEqual({ code: 0, signal: null });
});
