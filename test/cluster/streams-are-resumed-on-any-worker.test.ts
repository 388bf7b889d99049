// DESIGN 6, "Resumption", S100–S103: a client that was cut off comes again at any worker with the last id it saw, and gets exactly what it
// missed, or is told that something is missing.
import { referenceOf, type SessionId } from '../../src/protocol/ids.js';
import { type Cluster, type Ownership, startCluster, type Worker, whenAllServe } from '../support/cluster.js';
import { EventLog } from '../support/event-log.js';
import { getStream, openSession, sendRaw, toolCall } from '../support/raw-request.js';
import { beginStream, gapsOf, logsOf, progressOf, type RawStream } from '../support/raw-stream.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
const POLLED = '/servers/polled/mcp';
const LOGGED = '/servers/logged/mcp';
const STEPS = 4;

let backend: RecordingBackend;
let polled: StrictBackend;
/** Gives event ids, from before the first message of an answer on. */
let logged: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend();
  polled = await StrictBackend.start();
  logged = await startRecordingBackend({ eventStore: () => new EventLog() });
  const urls = { recorder: backend.url, polled: polled.url, logged: logged.url };
  const mcpServers = Object.fromEntries(Object.entries(urls).map(([name, url]) => [name, { type: 'http', url }]));
  cluster = await startCluster({ config: { mcpServers } });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
  await polled?.close();
  await logged?.close();
});
// A worker that a test has killed is forked again.
beforeEach(() => whenAllServe(cluster));

const emit = (sessionId: string, id: string, path = PATH) => {
  const call = toolCall(path, sessionId, 'emit', { nonce: id, steps: STEPS }, id);
  const message = JSON.parse(call.body as string);
  message.params._meta = { progressToken: id };
  return { ...call, body: JSON.stringify(message) };
};

const resume = (sessionId: string, lastId?: string, path = PATH) => getStream(path, sessionId, lastId);

test('a call that is cut off at every step is taken up at the next worker, each event once and in order', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const workers = cluster.workers();
  const held = backend.holdSteps();
  let stream = await beginStream(workers[0] as Worker, emit(sessionId, 'dropped'));
  const seen: number[] = [];
  for (let step = 1; step <= STEPS; step++) {
    await waitFor(
      () => `progress ${step}: ${JSON.stringify(stream.events())}`,
      () => progressOf(stream).length === 1,
    );
    seen.push(...progressOf(stream));
    const lastId = stream.lastId();
    stream.leave();
    held.step();
    stream = await beginStream(workers[step % workers.length] as Worker, resume(sessionId, lastId));
    // From 2025-11-25 on a resumed stream repeats the id it resumes from.
    await waitFor('the id it resumes from', () => stream.events()[0]?.id === lastId);
  }
  await waitFor('the result', () => stream.ended());
  expect(seen).toEqual([1, 2, 3, 4]);
  expect(stream.messages().at(-1)).toMatchObject({ id: 'dropped', result: { content: [{}] } });
  expect(backend.calls.filter(({ nonce }) => nonce === 'dropped')).toHaveLength(1);

  // It has nothing more to send, whoever is asked.
  for (const { pid, pod } of workers) expect((await pod.sendTo(pid, resume(sessionId, stream.lastId()))).status).toBe(204);
});

test('a call resumed beside the standalone stream touches it not', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const [one, other] = cluster.workers() as [Worker, Worker];
  const held = backend.holdSteps();
  const call = await beginStream(one, emit(sessionId, 'beside'));
  await waitFor('progress', () => progressOf(call).length === 1);
  const standalone = await beginStream(other, resume(sessionId));
  const lastId = call.lastId();
  call.leave();
  for (let step = 0; step < STEPS; step++) held.step();
  const resumed = await beginStream(other, resume(sessionId, lastId));
  await waitFor('the result', () => resumed.ended());
  expect(progressOf(resumed)).toEqual([2, 3, 4]);
  expect(standalone.ended()).toBe(false);
  expect(standalone.messages()).toEqual([]);
  standalone.leave();
});

describe('the standalone stream', () => {
  let sessionId: string;
  let owner: Ownership;
  let stream: RawStream;

  beforeEach(async () => {
    sessionId = await openSession(cluster.balancer.origin, PATH);
    await sendRaw(cluster.balancer.origin, toolCall(PATH, sessionId, 'counter'));
    owner = await cluster.ownerOf(sessionId);
    const edge = cluster.workers().find(({ pid }) => pid !== owner.pid) as Worker;
    stream = await beginStream(edge, resume(sessionId));
    await waitFor('the gateway to listen at the backend', () => backend.listening.has(backend.issued.at(-1) as string));
  });

  test('gives what came while its reader was away, at any worker', async () => {
    await backend.sendLog('one');
    await waitFor('the first', () => logsOf(stream).length === 1);
    stream.leave();
    for (const text of ['two', 'three']) await backend.sendLog(text);
    for (const worker of cluster.workers()) {
      const again = await beginStream(worker, resume(sessionId, stream.lastId()));
      await waitFor(
        () => `what was missed: ${JSON.stringify(again.events())}`,
        () => logsOf(again).length === 2,
      );
      expect(logsOf(again)).toEqual(['two', 'three']);
      expect(gapsOf(again)).toBe(0);
      again.leave();
    }
  });

  test('tells a gap when the owner and its memory are gone', async () => {
    await backend.sendLog('one');
    await waitFor('the first', () => logsOf(stream).length === 1);
    stream.leave();
    process.kill(owner.pid, 'SIGKILL');
    const survivor = cluster.workers().find(({ pid, pod }) => pid !== owner.pid && pod === owner.pod) as Worker;
    const again = await beginStream(survivor, resume(sessionId, stream.lastId()));
    await waitFor('the gap', () => gapsOf(again) > 0);
    await waitFor('what is sent from now on', async () => {
      await backend.sendLog('later');
      return logsOf(again).includes('later');
    });
    expect(logsOf(again)).not.toContain('one');
    const reference = referenceOf(sessionId as SessionId);
    const says = () => cluster.pods.flatMap((pod) => pod.logs()).filter(({ msg }) => msg === 'stream has a gap');
    await waitFor('the log to say so', () => says().some(({ session }) => session === reference));
    again.leave();
  });
});

/** A session that is open at the backend with event ids, its owner, and the workers that are not. */
async function openLogged() {
  const sessionId = await openSession(cluster.balancer.origin, LOGGED);
  await sendRaw(cluster.balancer.origin, toolCall(LOGGED, sessionId, 'counter'));
  const owner = await cluster.ownerOf(sessionId);
  const others = cluster.workers().filter(({ pid }) => pid !== owner.pid);
  const backendSession = logged.issued.at(-1) as string;
  const heard = () => waitFor('the gateway to listen at the backend', () => logged.listening.has(backendSession));
  return { sessionId, owner, at: (index: number) => others[index % others.length] as Worker, backendSession, heard };
}

test.each(['lives', 'is killed'])(
  'S102: several cuts in a row before any event lose neither stream (the owner %s)',
  async (fate) => {
    const { sessionId, owner, at, heard } = await openLogged();
    const held = logged.holdSteps();
    const nonce = `cut while the owner ${fate}`;
    let call = await beginStream(at(0), toolCall(LOGGED, sessionId, 'emit', { nonce, steps: 1 }, nonce));
    let standalone = await beginStream(at(1), resume(sessionId, undefined, LOGGED));
    await heard();
    const cutOff: RawStream[] = [];
    for (const cut of [1, 2, 3]) {
      await waitFor(`ids before cut ${cut}`, () => call.lastId() !== undefined && standalone.lastId() !== undefined);
      for (const stream of [call, standalone]) stream.leave();
      cutOff.push(standalone);
      if (cut === 2 && fate === 'is killed') process.kill(owner.pid, 'SIGKILL');
      if (cut === 3) await logged.sendLog('meanwhile');
      call = await beginStream(at(cut), resume(sessionId, call.lastId(), LOGGED));
      standalone = await beginStream(at(cut + 1), resume(sessionId, standalone.lastId(), LOGGED));
      await heard();
    }
    await logged.sendLog('then');
    await waitFor(
      () => `what was said: ${standalone.text()}`,
      () => logsOf(standalone).includes('then'),
    );
    expect(logsOf(standalone)).toEqual(['meanwhile', 'then']);
    // A backend that has said nothing yet may have said something to the one who died: that is told once.
    expect([...cutOff, standalone].reduce((sum, stream) => sum + gapsOf(stream), 0)).toBe(fate === 'lives' ? 0 : 1);
    held.step();
    await waitFor('the result', () => call.ended());
    // Each has what is its own, and nothing of the other.
    expect(call.messages()).toEqual([
      { jsonrpc: '2.0', id: nonce, result: { content: [{ type: 'text', text: `${nonce}:emitted` }] } },
    ]);
    expect(standalone.messages().filter(({ id }) => id !== undefined)).toEqual([]);
    expect(logged.calls.filter((one) => one.nonce === nonce)).toHaveLength(1);
    for (const index of [0, 1, 2]) {
      expect((await at(index).pod.sendTo(at(index).pid, resume(sessionId, call.lastId(), LOGGED))).status).toBe(204);
    }
    standalone.leave();
  },
);

test.each(['lives', 'is killed'])(
  'an id of another session yields nothing of it, whatever stream it is of (the owner %s)',
  async (fate) => {
    const victim = await openLogged();
    const held = logged.holdSteps();
    const call = await beginStream(victim.at(0), emit(victim.sessionId, 'secret', LOGGED));
    const over = await beginStream(victim.at(1), emit(victim.sessionId, 'secret too', LOGGED));
    const standalone = await beginStream(victim.at(2), resume(victim.sessionId, undefined, LOGGED));
    await victim.heard();
    await logged.sendLog('secret');
    await waitFor(
      'what is secret',
      () => progressOf(call).length === 1 && progressOf(over).length === 1 && logsOf(standalone).length === 1,
    );
    const ids = [call, over, standalone].flatMap((stream) => stream.events().map(({ id }) => id));
    // The one is over when the stranger comes, the other runs.
    const { sessionId, owner, at, backendSession, heard } = await openLogged();
    if (fate === 'is killed') process.kill(owner.pid, 'SIGKILL');
    const streams: RawStream[] = [];
    for (const [index, id] of ids.entries()) {
      streams.push(await beginStream(at(index), resume(sessionId, id, LOGGED)));
      // The newest wins: whatever it was asked for, it is the standalone one of who asked.
      await waitFor('the stream before to end', () => streams.slice(0, -1).every((stream) => stream.isOver()));
    }
    await heard();
    for (let step = 0; step < 2 * STEPS; step++) held.step();
    // Or to break off, where the worker that was killed held one of them.
    await waitFor('both calls to be over', () => call.isOver() && over.isOver());
    const theirs = streams.at(-1) as RawStream;
    await waitFor('what is said to all', async () => {
      await logged.sendLog('to all');
      return logsOf(theirs).includes('to all');
    });
    for (const stream of streams) {
      expect(stream.messages().filter((message) => message.params?.data !== 'to all')).toEqual([]);
      stream.leave();
    }
    // Nor was the backend asked for any of it in the stranger's session.
    const asked = logged.requestsOf('GET').filter((one) => one.sessionId === backendSession && one.headers['last-event-id']);
    expect(asked.map(({ headers }) => headers['last-event-id'])).not.toContainEqual(
      expect.stringContaining(victim.backendSession),
    );
    expect(asked).toEqual([]);
    standalone.leave();
  },
);

test('a call whose owner died: the resumed stream ends with an unknown outcome, a finished one with 204', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  await sendRaw(cluster.balancer.origin, toolCall(PATH, sessionId, 'counter'));
  const owner = await cluster.ownerOf(sessionId);
  const others = cluster.workers().filter(({ pid }) => pid !== owner.pid);
  const held = backend.holdSteps();
  const stream = await beginStream(others[0] as Worker, emit(sessionId, 'lost'));
  await waitFor('progress', () => progressOf(stream).length === 1);
  const lastId = stream.lastId();
  process.kill(owner.pid, 'SIGKILL');
  // The edge that still holds the call tells its end, with an id that says so.
  await waitFor('the end at the edge', () => stream.ended());
  expect(stream.messages().at(-1)).toMatchObject({ id: 'lost', error: { code: -32012 } });

  for (const worker of others) {
    const again = await beginStream(worker, resume(sessionId, lastId));
    await waitFor('its end', () => again.ended());
    expect(again.messages().at(-1)).toMatchObject({ id: 'lost', error: { code: -32012 } });
    for (const finalId of [again.lastId(), stream.lastId()])
      expect((await worker.pod.sendTo(worker.pid, resume(sessionId, finalId))).status).toBe(204);
  }
  for (let step = 0; step < STEPS; step++) held.step();
  expect(backend.calls.filter(({ nonce }) => nonce === 'lost')).toHaveLength(1);
});

describe('a backend that closes the stream of a call to be polled (SEP-1699)', () => {
  const RETRY_MS = 300;
  /** Answers the call when the test lets it. */
  let answerCall: () => void;

  beforeEach(() => {
    let id: unknown;
    let answer: () => void = () => undefined;
    const allowed = new Promise<void>((resolve) => {
      answer = resolve;
    });
    answerCall = answer;
    polled.always('tools/call', (request, response) => {
      id = request.message.id;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`id: p1\nretry: ${RETRY_MS}\ndata: \n\n`);
    });
    polled.always('GET', async (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      await allowed;
      response.end(`id: p2\ndata: ${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [] } })}\n\n`);
    });
  });

  const call = (sessionId: string) => toolCall(POLLED, sessionId, 'echo', {}, 'polled');

  async function sendAway(sessionId: string, worker: Worker): Promise<string | undefined> {
    const stream = await beginStream(worker, call(sessionId));
    await waitFor('the end of the stream', () => stream.ended());
    expect(stream.messages()).toEqual([]);
    expect(
      stream
        .text()
        .match(/^retry: .*/gm)
        ?.at(-1),
    ).toBe(`retry: ${RETRY_MS}`);
    return stream.lastId();
  }

  it('has the client polled too, which gets its answer at any worker', async () => {
    for (const [i, worker] of cluster.workers().entries()) {
      const sessionId = await openSession(cluster.balancer.origin, POLLED);
      const lastId = await sendAway(sessionId, worker);
      const others = cluster.workers();
      const again = await beginStream(others[(i + 1) % others.length] as Worker, resume(sessionId, lastId, POLLED));
      answerCall();
      await waitFor('the answer', () => again.ended());
      expect(again.messages().at(-1)).toMatchObject({ id: 'polled', result: { content: [] } });
    }
    expect(polled.of('tools/call')).toHaveLength(cluster.workers().length);
  });

  it('leaves a client of an older revision its stream', async () => {
    const sessionId = await openSession(cluster.balancer.origin, POLLED, '2025-06-18');
    const stream = await beginStream(cluster.workers()[0] as Worker, call(sessionId));
    answerCall();
    await waitFor('the answer', () => stream.ended());
    expect(stream.messages().at(-1)).toMatchObject({ id: 'polled', result: { content: [] } });
  });

  it('gives a client whose owner died meanwhile its answer, which the next owner asks the backend for', async () => {
    const sessionId = await openSession(cluster.balancer.origin, POLLED);
    const before = polled.of('tools/call').length;
    const owner = await cluster.ownerOf(sessionId);
    const others = cluster.workers().filter(({ pid }) => pid !== owner.pid);
    const lastId = await sendAway(sessionId, others[0] as Worker);
    process.kill(owner.pid, 'SIGKILL');
    const again = await beginStream(others[1] as Worker, resume(sessionId, lastId, POLLED));
    answerCall();
    await waitFor('the answer', () => again.ended());
    expect(again.messages().at(-1)).toMatchObject({ id: 'polled', result: { content: [] } });
    expect(polled.of('tools/call')).toHaveLength(before + 1);
  });
});
