// DESIGN 6, "Streams, GET": the end of an owner, by kill -9 or by a drain, does not end a stream that another worker's edge holds.
import { type Cluster, type Ownership, startCluster, type Worker, whenAllServe } from '../support/cluster.js';
import type { Pod } from '../support/pod.js';
import { getStream, openSession, sendRaw, toolCall } from '../support/raw-request.js';
import { beginStream, type RawStream } from '../support/raw-stream.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
const WITHIN_MS = 4000;
/** DESIGN 6: a comment every 15 s. */
const COMMENT_WITHIN_MS = 17_000;
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

/**
 * A used session with its stream at a worker: of another pod than the owner's, or of the owner's pod, but not the owner.
 * @param origin where it is opened
 */
async function listen(where: 'otherPod' | 'samePod' | 'owner', origin = cluster.balancer.origin): Promise<Listened> {
  const sessionId = await openSession(origin, PATH);
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

test('kill -9 of the owner while the client opens its stream anew: one of them is left, and nothing comes on both', async () => {
  const before = await listen('otherPod');
  const { pid, pod } = cluster.workers().find(({ pid, pod }) => pid !== before.owner.pid && pod === before.owner.pod) as Worker;
  process.kill(before.owner.pid, 'SIGKILL');
  const newest = await beginStream({ pid, pod }, getStream(PATH, before.sessionId));
  await expectHeardAgain({ ...before, ...newest });
  await waitFor('the stream before to end in order', before.ended);
  expect(before.text()).not.toContain('after');
  expect(newest.text()).toMatch(/^retry: \d+$/m);
  newest.leave();
});

test('kill -9 of the owner: comments come from the next one; a call that was open for 10 s ends as the stream that it became', async () => {
  const [edge, ...places] = [cluster.workers()[0] as Worker, running[1] as Pod, running[2] as Pod] as const;
  const calling = await openSession(places[0].origin, PATH);
  const callee = await cluster.ownerOf(calling);
  const held = backend.holdSteps();
  const begun = beginStream(edge, toolCall(PATH, calling, 'emit', { nonce: 'long', steps: 1 }, 'long'));
  const stream = await listen('otherPod', places[1].origin);
  process.kill(stream.owner.pid, 'SIGKILL');
  await expectHeardAgain(stream);
  const heard = stream.text().length;

  const call = await begun;
  await waitFor('a comment in the call', () => /^:/m.test(call.text()), COMMENT_WITHIN_MS);
  expect(call.messages()).toEqual([]);
  process.kill(callee.pid, 'SIGKILL');
  await waitFor('the end of the call', call.ended, WITHIN_MS);
  expect(call.messages()).toMatchObject([{ id: 'long', error: { code: -32012 } }]);
  // Nobody asks for it for ever.
  expect((await edge.pod.sendTo(edge.pid, getStream(PATH, calling, call.lastId()))).status).toBe(204);
  held.step();
  await waitFor('a comment of the next owner', () => /^:/m.test(stream.text().slice(heard)), COMMENT_WITHIN_MS);
  expect(stream.isOver()).toBe(false);
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
