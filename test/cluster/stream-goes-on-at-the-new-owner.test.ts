// DESIGN 6, "Streams, GET": the end of an owner, by kill -9 or by a drain, does not end a stream that another worker's edge holds.
import { type Cluster, type Ownership, startCluster, whenAllServe } from '../support/cluster.js';
import type { Pod } from '../support/pod.js';
import { getStream, openSession, sendRaw, toolCall } from '../support/raw-request.js';
import { beginStream, type RawStream } from '../support/raw-stream.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
const WITHIN_MS = 4000;
/** One for each drain, and one that stays. */
const PODS = 4;

let backend: RecordingBackend;
let cluster: Cluster;
/** Those that no test has stopped. */
let running: readonly Pod[];

beforeAll(async () => {
  backend = await startRecordingBackend();
  const config = { mcpServers: { recorder: { type: 'http', url: backend.url } }, drain: { delay: '200ms', timeout: '10s' } };
  cluster = await startCluster({ pods: PODS, config });
  running = cluster.pods;
});
beforeEach(() => whenAllServe({ pods: running }));
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
});

/** As a balancer does before a pod leaves: nothing new comes to it. */
function stop(pod: Pod): ReturnType<Pod['stop']> {
  running = running.filter((one) => one !== pod);
  cluster.balancer.setPlaces(running);
  return pod.stop();
}

interface Listened extends RawStream {
  readonly sessionId: string;
  readonly owner: Ownership;
  /** Sessions that the backend had issued when this one was open there. */
  readonly issued: number;
}

/** A used session with its stream at a worker: of another pod than the owner's, or of the owner's pod, but not the owner. */
async function listen(where: 'otherPod' | 'samePod' | 'owner'): Promise<Listened> {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const answer = await sendRaw(cluster.balancer.origin, toolCall(PATH, sessionId, 'counter'));
  expect(answer.body).toContain('"text":"1"');
  const owner = await cluster.ownerOf(sessionId);
  const edge = cluster.workers().find(({ pid, pod }) => {
    if (where === 'owner') return pid === owner.pid;
    return pid !== owner.pid && (pod === owner.pod) === (where === 'samePod');
  });
  if (edge === undefined) throw new Error(`no worker: ${where}`);
  const stream = await beginStream(edge, getStream(PATH, sessionId));
  await waitFor('the gateway to listen at the backend', () => backend.listening.has(backend.issued.at(-1) as string));
  await backend.sendLog('before');
  await waitFor(
    () => `the first message: ${stream.text()}`,
    () => stream.text().includes('before'),
  );
  return { ...stream, sessionId, owner, issued: backend.issued.length };
}

async function expectHeardAgain({ text, isOver }: Listened): Promise<void> {
  await waitFor(
    () => `a message after the change of owner, on the same connection: ${text()}`,
    async () => {
      if (isOver()) throw new Error('the stream ended');
      await backend.sendLog('after');
      return text().includes('after');
    },
    WITHIN_MS,
  );
  expect(isOver()).toBe(false);
}

test.each(['otherPod', 'samePod'] as const)('kill -9 of the owner: the stream at another worker goes on (%s)', async (where) => {
  const stream = await listen(where);
  process.kill(stream.owner.pid, 'SIGKILL');
  await expectHeardAgain(stream);
  expect((await cluster.ownerOf(stream.sessionId)).epoch).toBe(stream.owner.epoch + 1);
  expect(backend.issued).toHaveLength(stream.issued);
  stream.leave();
});

test('a drained owner: the stream at another pod goes on, and the session is served there', async () => {
  const stream = await listen('otherPod');
  const { code } = await stop(stream.owner.pod);
  expect(code).toBe(0);
  await expectHeardAgain(stream);
  const after = await cluster.ownerOf(stream.sessionId);
  expect(after.pod).not.toBe(stream.owner.pod);
  const answer = await after.pod.sendTo(after.pid, toolCall(PATH, stream.sessionId, 'counter'));
  expect(answer.body).toContain('"text":"2"');
  expect(backend.issued).toHaveLength(stream.issued);
  stream.leave();
});

test.each(['owner', 'samePod'] as const)(
  'a stream that the draining pod holds itself ends cleanly, with a hint (%s)',
  async (where) => {
    const stream = await listen(where);
    const stopped = stop(stream.owner.pod);
    await waitFor('the stream to end', stream.ended);
    expect((await stopped).code).toBe(0);
    expect(stream.text()).toMatch(/^retry: \d+$/m);
    expect(stream.text()).toMatch(/\n\n$/);
  },
);
