// S107, S108: what a backend asks the client goes out through whichever worker holds the call, and the answer comes back through any other.
import { ElicitRequestSchema, ListRootsRequestSchema, CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { type Cluster, startCluster, type Worker, whenAllServe } from '../support/cluster.js';
import { answersAt, answerTo, askThrough, respondThrough, ROOTS } from '../support/asking.js';
import { EventLog } from '../support/event-log.js';
import { eventsOf, JSON_HEADERS, openSession, responseOf, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { nextListener } from '../support/next-listener.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import { StrictBackend } from '../support/strict-backend.js';
import { lasted, waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
const STRICT = '/servers/strict/mcp';
let backend: RecordingBackend;
/** Of both backends; questions are open for longer. */
const TIMEOUT_MS = 2000;
/** Both backends of a virtual server; with event ids, so that their calls outlive an owner. */
const BOTH = '/servers/both/mcp';
let strict: StrictBackend;
let left: RecordingBackend;
let right: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend();
  const eventStore = () => new EventLog();
  [left, right] = [await startRecordingBackend({ eventStore }), await startRecordingBackend({ eventStore })];
  strict = await StrictBackend.start();
  const everything = { command: join(__dirname, '../../node_modules/.bin/mcp-server-everything'), args: ['stdio'] };
  cluster = await startCluster({
    config: {
      mcpServers: {
        recorder: { type: 'http', url: backend.url },
        strict: { type: 'http', url: strict.url },
        left: { type: 'http', url: left.url, timeout: TIMEOUT_MS },
        right: { type: 'http', url: right.url, timeout: TIMEOUT_MS },
        everything,
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

const open = (capabilities: object) => openSession(cluster.balancer.origin, PATH, '2025-11-25', capabilities);
const ask = (sessionId: string, pid: number, nonce: string) => {
  const worker = cluster.workers().find((one) => one.pid === pid);
  if (!worker) throw new Error(`no worker ${pid}`);
  return askThrough(worker, PATH, sessionId, nonce);
};
const respond = (sessionId: string, id: unknown, worker: { pid: number; pod: Cluster['pods'][number] }) =>
  respondThrough(worker, PATH, sessionId, id);
const callThrough = async (sessionId: string) =>
  (await sendRaw(cluster.balancer.origin, toolCall(PATH, sessionId, 'echo'))).status;
const answers = (issued: string) => answersAt(backend, issued);

test('the SDK client is asked for all three in forwarded calls, each by its own name', async () => {
  const session = await connectSdkClient(cluster.url(PATH), {
    capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} },
    prepare(client) {
      client.setRequestHandler(CreateMessageRequestSchema, () => ({
        role: 'assistant',
        model: 'm',
        content: { type: 'text', text: 'sampled' },
      }));
      client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
        action: 'accept',
        content: { mode: params.mode ?? 'form' },
      }));
      client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///root' }] }));
    },
  });
  const sampling = { messages: [{ role: 'user', content: { type: 'text', text: 'x' } }], maxTokens: 5 };
  const form = { message: 'who?', requestedSchema: { type: 'object', properties: {} } };
  const url = { mode: 'url', message: 'go', url: 'https://example.com', elicitationId: 'e' };
  for (let round = 0; round < 4; round += 1) {
    expect(await session.callText('ask', { method: 'sampling/createMessage', params: sampling })).toContain('sampled');
    expect(await session.callText('ask', { method: 'elicitation/create', params: form })).toContain('"mode":"form"');
    expect(await session.callText('ask', { method: 'elicitation/create', params: url })).toContain('"mode":"url"');
    expect(await session.callText('ask', ROOTS)).toContain('file:///root');
  }
  const told = backend.requestsOf('POST', 'initialize').at(-1)?.params;
  expect(told).toMatchObject({ capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} } });
  await session.end();
});

test('S107: asked in a forwarded call, answered through a third worker; a second answer is dropped', async () => {
  const sessionId = await open({ roots: {} });
  const owner = await cluster.ownerOf(sessionId);
  const [edge, third] = cluster.workers().filter(({ pid }) => pid !== owner.pid);
  if (!edge || !third) throw new Error('too few workers');
  const { question, text, done } = await ask(sessionId, edge.pid, 's107');
  expect((await respond(sessionId, question.id, third)).status).toBe(202);
  await done;
  expect(text()).toContain('file:///here');
  const asked = backend.issued.at(-1) as string;
  expect((await respond(sessionId, question.id, edge)).status).toBe(202);
  expect((await respond(sessionId, question.id, { pid: owner.pid, pod: owner.pod })).status).toBe(202);
  // Behind them, by the same owner in the same backend session: a second answer that was passed on would be there before this one.
  const later = await ask(sessionId, edge.pid, 's107 later');
  expect((await respond(sessionId, later.question.id, third)).status).toBe(202);
  await later.done;
  expect(backend.issued.at(-1)).toBe(asked);
  expect(answers(asked)).toBe(2);
});

test('S107: an answer forged, of another session, or under an id of the backend reaches nobody', async () => {
  const [sessionId, foreign] = [await open({ roots: {} }), await open({ roots: {} })];
  const [worker] = cluster.workers();
  if (!worker) throw new Error('no worker');
  const { question, done } = await ask(sessionId, worker.pid, 'forged');
  const asked = backend.issued.at(-1) as string;
  const last = question.id.at(-20) === 'A' ? 'B' : 'A';
  const altered = `${question.id.slice(0, -20)}${last}${question.id.slice(-19)}`;
  for (const [session, id] of [
    [foreign, question.id],
    [sessionId, altered],
    [sessionId, 0],
    [sessionId, '0'],
  ]) {
    const refused = await respond(session as string, id, worker);
    expect(refused.status).toBe(400);
    expect(JSON.parse(refused.body)).toMatchObject({ jsonrpc: '2.0', id: null, error: { code: -32600 } });
  }
  expect(answers(asked)).toBe(0);
  expect((await respond(sessionId, question.id, worker)).status).toBe(202);
  await done;
  expect(answers(asked)).toBe(1);
});

test('S108: what the client did not declare the backend learns at initialize, and is told at once when it asks all the same', async () => {
  const session = await connectSdkClient(cluster.url(PATH));
  expect(await session.callText('ask', ROOTS)).toMatch(/error -32601 .*did not declare roots/);
  expect(backend.requestsOf('POST', 'initialize').at(-1)?.params).toMatchObject({ capabilities: {} });
  await session.end();
});

test('tools that ask are listed to clients that can be asked, and over stdio they reach them', async () => {
  const everything = cluster.url('/servers/everything/mcp');
  const namesOf = async ({ client }: SdkClient) => (await client.listTools()).tools.map(({ name }) => name);
  const plain = await connectSdkClient(everything);
  expect(await namesOf(plain)).not.toContain('trigger-sampling-request');
  let roots = ['file:///first'];
  const asked = await connectSdkClient(everything, {
    capabilities: { sampling: {}, roots: { listChanged: true } },
    prepare(client) {
      const content = { type: 'text' as const, text: 'sampled' };
      client.setRequestHandler(CreateMessageRequestSchema, () => ({ role: 'assistant', model: 'm', content }));
      client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: roots.map((uri) => ({ uri, name: uri })) }));
    },
  });
  // The server adds them once it has heard notifications/initialized, and tells that its list has changed.
  await waitFor('the tools that ask', async () => (await namesOf(asked)).includes('get-roots-list'));
  expect(await asked.callText('trigger-sampling-request', { prompt: 'x', maxTokens: 5 })).toContain('sampled');
  await waitFor('the first roots', async () => (await asked.callText('get-roots-list')).includes('file:///first'));
  roots = ['file:///second'];
  await asked.client.sendRootsListChanged();
  await waitFor('the roots asked for anew', async () => (await asked.callText('get-roots-list')).includes('file:///second'));
  expect(await namesOf(plain)).not.toContain('trigger-sampling-request');
  await Promise.all([plain.end(), asked.end()]);
});

test('a caller that takes JSON alone cannot be asked: the backend hears so, and the call ends', async () => {
  const sessionId = await open({ roots: {} });
  const call = toolCall(PATH, sessionId, 'ask', ROOTS);
  const answer = await sendRaw(cluster.balancer.origin, { ...call, headers: { ...call.headers, accept: 'application/json' } });
  expect(JSON.parse(answer.body).result.content[0].text).toMatch(/error -32603 .*no stream/);
});

/** Of a session at the strict backend: its id, that of its backend session, a worker that does not own it, and how to listen there. */
async function openStrict(capabilities: object) {
  const sessionId = await openSession(cluster.balancer.origin, STRICT, '2025-11-25', capabilities);
  await sendRaw(cluster.balancer.origin, toolCall(STRICT, sessionId, 'echo'));
  const issued = strict.issued.at(-1) as string;
  await waitFor('the gateway to listen at the backend', () => strict.streams.has(issued));
  const owner = await cluster.ownerOf(sessionId);
  const edge = cluster.workers().find(({ pid }) => pid !== owner.pid);
  if (!edge) throw new Error('too few workers');
  const listen = async (at = edge, lastEventId?: string) => {
    const resumed: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    const headers = { accept: 'text/event-stream', 'mcp-session-id': sessionId, ...resumed };
    const { call, answer } = await at.pod.beginAt(at.pid, { method: 'GET', path: STRICT, headers });
    return { ...hear(answer), leave: () => void call.destroy() };
  };
  return { sessionId, issued, edge, listen };
}

/** Messages of a stream, as they come. */
function hear(answer: IncomingMessage) {
  const heard: Array<{ id?: string; method: string; params?: unknown }> = [];
  let text = '';
  answer.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    heard.splice(0, heard.length, ...eventsOf(text).flatMap(({ data }) => (data === '' ? [] : [JSON.parse(data)])));
  });
  answer.on('error', () => undefined);
  return { heard, lastId: () => eventsOf(text).at(-1)?.id };
}

/** Questions that wait, or have waited, for a stream: over all workers. */
async function heldSoFar(): Promise<number> {
  const texts = await Promise.all(cluster.pods.map(async (pod) => (await fetch(pod.adminUrl('/metrics'))).text()));
  const counts = texts.flatMap((text) => [...text.matchAll(/^berth_client_requests_total\{[^}]*outcome="held"[^}]*\} (\d+)$/gm)]);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

test('a server that asks once, as soon as it is open, is answered, although the client listens only then', async () => {
  const before = await heldSoFar();
  const path = '/servers/everything/mcp';
  const sessionId = await openSession(cluster.balancer.origin, path, '2025-11-25', { roots: {} });
  await sendRaw(cluster.balancer.origin, rpc(path, sessionId, 'tools/list'));
  await waitFor('the question to be held', async () => (await heldSoFar()) > before);
  const headers = { accept: 'text/event-stream', 'mcp-session-id': sessionId };
  const [worker] = cluster.workers();
  if (!worker) throw new Error('no worker');
  const { call, answer } = await worker.pod.beginAt(worker.pid, { method: 'GET', path, headers });
  const { heard } = hear(answer);
  const question = await waitFor('the question', () => heard.find(({ method }) => method === 'roots/list'));
  await respondThrough(worker, path, sessionId, question.id);
  const told = (message: (typeof heard)[number]) => JSON.stringify(message).includes('Roots updated: 1 root');
  await waitFor('the server to have them', () => heard.some(told));
  call.destroy();
});

test('asked before the client listens: the question waits for its stream, at whatever worker that opens', async () => {
  const plain = await openSession(cluster.balancer.origin, STRICT);
  await sendRaw(cluster.balancer.origin, toolCall(STRICT, plain, 'echo'));
  const unasked = strict.issued.at(-1);
  const { sessionId, issued, edge, listen } = await openStrict({ roots: {} });
  strict.streams.push({ jsonrpc: '2.0', id: 'early', method: 'roots/list' }, issued);
  strict.streams.push({ jsonrpc: '2.0', id: 'ping', method: 'ping' }, issued);
  const answered = () => strict.of('response').filter((one) => one.sessionId === issued);
  // Whether anybody listens or not.
  await waitFor('the answer to the ping', () => answered().length === 1);
  expect(answered()[0]?.message).toMatchObject({ id: 'ping', result: {} });
  const { heard, leave } = await listen();
  await waitFor('the question', () => heard.length === 1);
  await respondThrough(edge, STRICT, sessionId, heard[0]?.id);
  await waitFor('the answer at the backend', () => answered().length === 2);
  expect(answered()[1]?.message).toMatchObject({ id: 'early', result: { roots: [{ uri: 'file:///here' }] } });
  leave();
  // Nobody listens for a client that cannot be asked and does not listen.
  expect(strict.of('GET').filter(({ sessionId }) => sessionId === unasked)).toEqual([]);
});

test('cut off while it is asked, the client gets the question when it comes again, once, at another worker', async () => {
  const { issued, edge, listen } = await openStrict({ roots: {} });
  const [another] = cluster.workers().filter(({ pid }) => pid !== edge.pid);
  const first = await listen();
  const lastId = await waitFor('the first id', () => first.lastId());
  // The gateway learns of the end of the reader before, after or while it is told the questions.
  for (const id of ['before', 'meanwhile', 'after']) {
    strict.streams.push({ jsonrpc: '2.0', id, method: 'roots/list', params: { id } }, issued);
    if (id === 'before') first.leave();
  }
  const { heard, leave } = await listen(another, lastId);
  await waitFor('the questions', () => heard.length === 3);
  expect(heard.map(({ params }) => params)).toEqual([{ id: 'before' }, { id: 'meanwhile' }, { id: 'after' }]);
  expect(new Set(heard.map(({ id }) => id)).size).toBe(3);
  leave();
});

test('taken back by the backend: the client hears so under the id it knows, also from an owner that has not asked it', async () => {
  const { sessionId, issued, edge, listen } = await openStrict({ roots: {} });
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

  process.kill(owner.pid, 'SIGKILL');
  const next = await nextListener(cluster, sessionId, owner, strict, issued);
  const other = cluster.workers().find(({ pid }) => ![edge.pid, next.pid, owner.pid].includes(pid)) ?? edge;
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

test('elicitation by URL: its completion is told to the session that was asked, and -32042 passes through', async () => {
  const [asked, other] = [await openStrict({ elicitation: { url: {} } }), await openStrict({ elicitation: { url: {} } })];
  const [first, second] = [await asked.listen(), await other.listen()];
  const complete = { method: 'notifications/elicitation/complete', params: { elicitationId: 'e-1' } };
  strict.streams.push({ jsonrpc: '2.0', ...complete }, asked.issued);
  strict.streams.push({ jsonrpc: '2.0', method: 'notifications/other' }, other.issued);
  await waitFor('both notifications', () => first.heard.length === 1 && second.heard.length === 1);
  expect(first.heard[0]).toMatchObject(complete);
  expect(second.heard[0]?.method).toBe('notifications/other');
  const data = { elicitations: [{ mode: 'url', elicitationId: 'e-2', url: 'https://example.com/', message: 'go' }] };
  const error = { code: -32042, message: 'URL elicitation required', data };
  for (const framed of [false, true]) {
    strict.once('tools/call', ({ message: { id } }, response) => {
      const text = JSON.stringify({ jsonrpc: '2.0', id, error });
      response.writeHead(200, { 'content-type': framed ? 'text/event-stream' : 'application/json' });
      response.end(framed ? `data: ${text}\n\n` : text);
    });
    const answer = await sendRaw(cluster.balancer.origin, toolCall(STRICT, asked.sessionId, 'echo', {}, 'u'));
    expect(responseOf(answer)).toEqual({ jsonrpc: '2.0', id: 'u', error });
  }
  for (const { leave } of [first, second]) leave();
});

test('1 000 questions in one call: 64 are asked, the rest refused, and the session goes on as if nothing had been', async () => {
  const { sessionId, issued } = await openStrict({ roots: {} });
  /** A call in which that much is asked. @returns how many questions the client got */
  const flood = async (count: number, refusals: number) => {
    strict.once('tools/call', async ({ message: { id } }, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const write = (message: object) => response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
      for (let n = 0; n < count; n++) write({ id: `q${n}`, method: 'roots/list' });
      await waitFor('refusals', () => strict.of('response').filter((one) => one.sessionId === issued).length >= refusals);
      write({ id, result: { content: [] } });
      response.end();
    });
    const answer = await sendRaw(cluster.balancer.origin, toolCall(STRICT, sessionId, 'echo', {}, `flood of ${count}`));
    expect(responseOf(answer)).toEqual({ jsonrpc: '2.0', id: `flood of ${count}`, result: { content: [] } });
    return answer.body.split('roots/list').length - 1;
  };
  expect(await flood(1000, 10)).toBe(64);
  // The call is over, and so are its questions: there is room again.
  expect(await flood(3, 0)).toBe(3);
});

test('answers that are none: refused, and the question is still open; of 4 MB: taken; after the end of the session: 404', async () => {
  const sessionId = await open({ roots: {} });
  const [worker] = cluster.workers();
  if (!worker) throw new Error('no worker');
  const { question, text, done } = await ask(sessionId, worker.pid, 'odd');
  const send = async (more: object) => (await worker.pod.sendTo(worker.pid, answerTo(PATH, sessionId, question.id, more))).status;
  expect(await send({ error: { code: 1, message: 'both' } })).toBe(400);
  expect(await send({ result: undefined })).toBe(400);
  expect(text()).not.toContain('result');
  expect(await send({ result: { roots: [], pad: 'x'.repeat(4 * 1024 * 1024 - 1000) } })).toBe(202);
  await done;
  expect(text()).toContain('xxx');
  const end = { method: 'DELETE', path: PATH, headers: { 'mcp-session-id': sessionId } };
  expect((await worker.pod.sendTo(worker.pid, end)).status).toBe(202);
  expect(await send({})).toBe(404);
});

test('the owner is killed while the question is open: the answer reaches the backend through the next one, once', async () => {
  const sessionId = await open({ roots: {} });
  const owner = await cluster.ownerOf(sessionId);
  const [edge] = cluster.workers().filter(({ pid }) => pid !== owner.pid);
  if (!edge) throw new Error('too few workers');
  const { question, text, done } = await ask(sessionId, edge.pid, 'killed');
  const asked = backend.issued.at(-1) as string;
  process.kill(owner.pid, 'SIGKILL');
  await done;
  expect(text()).toContain('-32012');
  const heir = cluster.workers().find(({ pid }) => pid !== owner.pid && pid !== edge.pid);
  if (!heir) throw new Error('too few workers');
  expect((await respond(sessionId, question.id, heir)).status).toBe(202);
  await waitFor('the answer at the backend', () => answers(asked) === 1);
  const next = await cluster.ownerOf(sessionId);
  expect(next.epoch).toBeGreaterThan(owner.epoch);
  await whenAllServe(cluster);
  process.kill(next.pid, 'SIGKILL');
  const another = cluster.workers().find(({ pid }) => pid !== next.pid);
  if (!another) throw new Error('too few workers');
  expect((await respond(sessionId, question.id, another)).status).toBe(202);
  expect((await cluster.ownerOf(sessionId)).epoch).toBeGreaterThan(next.epoch);
  expect(await callThrough(sessionId)).toBe(200);
  expect(answers(asked)).toBe(1);
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
  const { sessionId, issued, edge, listen } = await openStrict({ elicitation: {} });
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
