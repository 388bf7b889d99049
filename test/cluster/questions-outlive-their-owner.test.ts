// S107, S108: questions to the client whose session changes its owner meanwhile, by a kill: each answer, withdrawal and progress still reaches
// who it is for, once.
import { answersAt, answerTo, askThrough, openStrict, respondThrough, ROOTS, STRICT } from '../support/asking.js';
import { type Cluster, startCluster, type Worker, whenAllServe } from '../support/cluster.js';
import { EventLog } from '../support/event-log.js';
import { nextListener } from '../support/next-listener.js';
import { eventsOf, JSON_HEADERS, openSession, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { StrictBackend } from '../support/strict-backend.js';
import { lasted, waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
/** Both backends of a virtual server; with event ids, so that their calls outlive an owner. */
const BOTH = '/servers/both/mcp';
/** Of both backends; questions are open for longer. */
const TIMEOUT_MS = 2000;
let backend: RecordingBackend;
let strict: StrictBackend;
let left: RecordingBackend;
let right: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend();
  strict = await StrictBackend.start();
  const eventStore = () => new EventLog();
  [left, right] = [await startRecordingBackend({ eventStore }), await startRecordingBackend({ eventStore })];
  cluster = await startCluster({
    config: {
      mcpServers: {
        recorder: { type: 'http', url: backend.url },
        strict: { type: 'http', url: strict.url },
        left: { type: 'http', url: left.url, timeout: TIMEOUT_MS },
        right: { type: 'http', url: right.url, timeout: TIMEOUT_MS },
      },
      servers: { both: { backends: ['left', 'right'] } },
    },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
  await strict?.close();
  await left?.close();
  await right?.close();
});
// A worker that a test has killed is forked again.
beforeEach(() => whenAllServe(cluster));

test('taken back by the backend: the client hears so under the id it knows, also from an owner that has not asked it', async () => {
  const { sessionId, issued, edge, listen } = await openStrict(cluster, strict, { roots: {} });
  const { heard, leave } = await listen();
  const note = (method: string, params: object) => JSON.stringify({ jsonrpc: '2.0', method, params });
  const say = (message: object) => strict.streams.push({ jsonrpc: '2.0', ...message }, issued);
  const takeBack = (requestId: unknown) => say({ method: 'notifications/cancelled', params: { requestId, reason: 'late' } });
  const hears = async (requestId: unknown) => {
    const count = heard.length;
    await waitFor(
      () => `the cancellation of ${sessionId.slice(0, 4)}: ${JSON.stringify(heard)}`,
      () => heard.length > count,
    );
    expect(heard.at(-1)).toMatchObject({ method: 'notifications/cancelled', params: { requestId, reason: 'late' } });
  };
  for (const id of [1, 2, '2']) say({ id, method: 'roots/list', params: { _meta: { progressToken: 'shared' } } });
  const owner = await cluster.ownerOf(sessionId);
  await waitFor(
    () => `three questions to session ${sessionId.slice(0, 4)} of epoch ${owner.epoch}: ${JSON.stringify(heard)}`,
    () => heard.length === 3,
  );
  const [first, second, third] = heard.map(({ id }) => id);
  // Of a request that nobody asked the client hears nothing.
  takeBack('never asked');
  takeBack(1);
  await hears(first);

  // Before the kill: whoever is forked in its place does not listen at once.
  const workers = cluster.workers();
  process.kill(owner.pid, 'SIGKILL');
  const next = await nextListener(cluster, sessionId, owner, strict, issued);
  const other = workers.find(({ pid }) => ![edge.pid, next.pid, owner.pid].includes(pid)) ?? edge;
  // Progress of the one that stays open reaches who asked, under its own token.
  const headers = { ...JSON_HEADERS, 'mcp-session-id': sessionId };
  const progress = note('notifications/progress', { progressToken: third, progress: 1 });
  expect((await other.pod.sendTo(other.pid, { path: STRICT, headers, body: progress })).status).toBe(202);
  await waitFor('the progress at the backend', () => strict.of('notifications/progress').length === 1);
  expect(strict.of('notifications/progress')[0]?.message.params).toEqual({ progressToken: 'shared', progress: 1 });

  const answered = () => strict.of('response').filter((one) => one.sessionId === issued);
  takeBack('never asked');
  takeBack(2);
  await hears(second);
  expect((await respondThrough(other, STRICT, sessionId, second)).status).toBe(202);
  expect((await respondThrough(other, STRICT, sessionId, third)).status).toBe(202);
  await waitFor('the answer to the one that is open', () => answered().length > 0);
  expect(answered().map(({ message }) => message.id)).toEqual(['2']);
  expect(JSON.stringify(heard)).not.toContain('never asked');
  leave();
  await whenAllServe(cluster);
});

test('the owner is killed while the question is open: the answer reaches the backend through the next one, once', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH, '2025-11-25', { roots: {} });
  const owner = await cluster.ownerOf(sessionId);
  const [edge] = cluster.workers().filter(({ pid }) => pid !== owner.pid);
  if (!edge) throw new Error('too few workers');
  const { question, text, done } = await askThrough(edge, PATH, sessionId, 'killed');
  const asked = backend.issued.at(-1) as string;
  const heir = cluster.workers().find(({ pid }) => pid !== owner.pid && pid !== edge.pid);
  if (!heir) throw new Error('too few workers');
  process.kill(owner.pid, 'SIGKILL');
  await done;
  expect(text()).toContain('-32012');
  expect((await respondThrough(heir, PATH, sessionId, question.id)).status).toBe(202);
  await waitFor('the answer at the backend', () => answersAt(backend, asked) === 1);
  const next = await cluster.ownerOf(sessionId);
  expect(next.epoch).toBeGreaterThan(owner.epoch);
  await whenAllServe(cluster);
  process.kill(next.pid, 'SIGKILL');
  const another = cluster.workers().find(({ pid }) => pid !== next.pid);
  if (!another) throw new Error('too few workers');
  expect((await respondThrough(another, PATH, sessionId, question.id)).status).toBe(202);
  expect((await cluster.ownerOf(sessionId)).epoch).toBeGreaterThan(next.epoch);
  expect((await sendRaw(cluster.balancer.origin, toolCall(PATH, sessionId, 'echo'))).status).toBe(200);
  expect(answersAt(backend, asked)).toBe(1);
});

/** A worker that owns sessions opened through it, and three that do not. */
async function openBoth(capabilities: object) {
  const [victim, ...others] = cluster.workers();
  if (!victim) throw new Error('no worker');
  const open = async (declared: object) => {
    const params = { protocolVersion: '2025-11-25', capabilities: declared, clientInfo: { name: 'raw', version: '1.0.0' } };
    const answer = await victim.pod.sendTo(victim.pid, rpc(BOTH, undefined, 'initialize', params));
    const sessionId = answer.headers['mcp-session-id'] as string;
    expect((await cluster.ownerOf(sessionId)).pid).toBe(victim.pid);
    return sessionId;
  };
  return { victim, others, sessionId: await open(capabilities), open };
}

const textOf = (text: string) => {
  const last = JSON.parse(eventsOf(text).at(-1)?.data ?? '{}') as { result?: { content: [{ text: string }] } };
  return last.result?.content[0].text ?? text;
};

test.each(['lives', 'is killed'])(
  'S107: two backends ask everything under the same ids; each answer goes on with its own call, none twice (the owner %s)',
  async (fate) => {
    const all = { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} };
    const { victim, others, sessionId, open } = await openBoth(all);
    const foreign = await open(all);
    const at = (index: number) => others[index % others.length] as Worker;
    const sampling = { messages: [{ role: 'user', content: { type: 'text', text: 'x' } }], maxTokens: 5 };
    const url = { mode: 'url', message: 'go', url: 'https://example.com', elicitationId: 'e' };
    // In each backend session the SDK numbers its questions from 0 on.
    const asked = [
      await askThrough(at(0), BOTH, sessionId, `${fate} roots`, ROOTS, 'left__ask'),
      await askThrough(
        at(1),
        BOTH,
        sessionId,
        `${fate} sampling`,
        { method: 'sampling/createMessage', params: sampling },
        'right__ask',
      ),
      await askThrough(
        at(2),
        BOTH,
        sessionId,
        `${fate} form`,
        { method: 'elicitation/create', params: { message: 'who?' } },
        'left__ask',
      ),
      await askThrough(at(0), BOTH, sessionId, `${fate} url`, { method: 'elicitation/create', params: url }, 'right__ask'),
    ];
    const names = ['roots', 'sampling', 'form', 'url'].map((name) => `${fate} ${name}`);
    expect(new Set(asked.map(({ question }) => question.id)).size).toBe(4);
    const sessions = [left.issued.at(-1) as string, right.issued.at(-1) as string] as const;
    const arrived = () => [answersAt(left, sessions[0]), answersAt(right, sessions[1])];
    if (fate === 'is killed') process.kill(victim.pid, 'SIGKILL');

    const answer = (index: number, through: number, session = sessionId, id = asked[index]?.question.id) =>
      at(through).pod.sendTo(at(through).pid, answerTo(BOTH, session, id, { result: { is: names[index] } }));
    // Neither that of another session of the same owner, nor one with a part of another id in it, nor those of the backends.
    const [first, second] = asked.map(({ question }) => question.id) as [string, string];
    const mixed = `${first.slice(0, -24)}${second.slice(-24)}`;
    for (const [session, id] of [
      [foreign, first],
      [sessionId, mixed],
      [sessionId, '0'],
      [sessionId, '1'],
    ]) {
      expect((await answer(0, 1, session, id)).status).toBe(400);
    }
    expect(arrived()).toEqual([0, 0]);
    // The client says nothing for longer than the time-out of the backends.
    await lasted(TIMEOUT_MS + 500);
    for (const index of [3, 2, 1, 0]) expect((await answer(index, index + 1)).status).toBe(202);
    for (const [index, { done, text }] of asked.entries()) {
      await done;
      expect(textOf(text())).toBe(`${names[index]}:${JSON.stringify({ is: names[index] })}`);
    }
    for (const index of [0, 1, 2, 3]) expect((await answer(index, index)).status).toBe(202);

    // What is asked from now on, by whoever owns it now; behind the second answers, which would be there before if they were passed on.
    const later = await askThrough(at(1), BOTH, sessionId, 'later', ROOTS, 'right__ask');
    expect((await respondThrough(at(2), BOTH, sessionId, later.question.id)).status).toBe(202);
    await later.done;
    expect(textOf(later.text())).toContain('file:///here');
    for (const tool of ['left__ask', 'right__ask']) {
      const ping = toolCall(BOTH, sessionId, tool, { nonce: tool, method: 'ping' });
      expect((await at(0).pod.sendTo(at(0).pid, ping)).body).toContain(`${tool}:{}`);
    }
    // Each of the five questions once, and each ping.
    expect(arrived()).toEqual([2 + 1, 3 + 1]);
    expect([left.issued.at(-1), right.issued.at(-1)]).toEqual(sessions);
  },
);

test('S108: what the client did not declare it is not asked either by who owns its session after a killed owner', async () => {
  const { victim, others, sessionId } = await openBoth({ elicitation: { form: {} } });
  const [edge] = others as [Worker];
  const ask = async (what: object) => (await edge.pod.sendTo(edge.pid, toolCall(BOTH, sessionId, 'left__ask', { ...what }))).body;
  expect(await ask(ROOTS)).toMatch(/error -32601 .*did not declare roots/);
  const backendSession = left.issued.at(-1) as string;
  process.kill(victim.pid, 'SIGKILL');
  expect(await ask(ROOTS)).toMatch(/error -32601 .*did not declare roots/);
  expect(await ask({ method: 'sampling/createMessage' })).toMatch(/error -32601 .*did not declare sampling/);
  const url = { mode: 'url', message: 'go', url: 'https://example.com', elicitationId: 'e' };
  expect(await ask({ method: 'elicitation/create', params: url })).toMatch(/error -32602 .*did not declare elicitation.url/);
  expect((await cluster.ownerOf(sessionId)).pid).not.toBe(victim.pid);
  // In the backend session that was told at its initialize.
  expect(left.issued.at(-1)).toBe(backendSession);
});

test('asked outside any call, its owner killed: the answer arrives through the next owner, once, who also answers a ping', async () => {
  const { sessionId, issued, edge, listen } = await openStrict(cluster, strict, { elicitation: {} });
  const { heard, leave } = await listen();
  strict.streams.push({ jsonrpc: '2.0', id: 'open', method: 'elicitation/create', params: { message: 'who?' } }, issued);
  const question = await waitFor('the question', () => heard.find(({ method }) => method === 'elicitation/create'));
  const owner = await cluster.ownerOf(sessionId);
  process.kill(owner.pid, 'SIGKILL');
  const [third] = cluster.workers().filter(({ pid }) => pid !== owner.pid && pid !== edge.pid) as [Worker];
  const answers = () => strict.of('response').filter((one) => one.sessionId === issued);
  for (const worker of [third, edge, third]) {
    const answer = answerTo(STRICT, sessionId, question.id, { result: { action: 'decline' } });
    expect((await worker.pod.sendTo(worker.pid, answer)).status).toBe(202);
  }
  await waitFor('the answer at the backend', () => answers().length > 0);
  await nextListener(cluster, sessionId, owner, strict, issued);
  strict.streams.push({ jsonrpc: '2.0', id: 'ping', method: 'ping' }, issued);
  await waitFor('the answer to the ping', () => answers().length > 1);
  expect(answers().map(({ message }) => message)).toEqual([
    { jsonrpc: '2.0', id: 'open', result: { action: 'decline' } },
    { jsonrpc: '2.0', id: 'ping', result: {} },
  ]);
  expect(heard.filter(({ method }) => method === 'elicitation/create')).toHaveLength(1);
  leave();
});
