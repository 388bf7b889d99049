// S107, S108: what a backend asks the client goes out through whichever worker holds the call, and the answer comes back through any other.
// With the owner killed meanwhile: questions-outlive-their-owner.test.ts.
import { ElicitRequestSchema, ListRootsRequestSchema, CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { join } from 'node:path';
import { answersAt, answerTo, askThrough, hear, openStrict, respondThrough, ROOTS, STRICT } from '../support/asking.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { openSession, responseOf, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
let backend: RecordingBackend;
let strict: StrictBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend();
  strict = await StrictBackend.start();
  const everything = { command: join(__dirname, '../../node_modules/.bin/mcp-server-everything'), args: ['stdio'] };
  cluster = await startCluster({
    config: {
      mcpServers: {
        recorder: { type: 'http', url: backend.url },
        strict: { type: 'http', url: strict.url },
        everything,
      },
    },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
  await strict?.close();
});

const open = (capabilities: object) => openSession(cluster.balancer.origin, PATH, '2025-11-25', capabilities);

/** Questions that wait, or have waited, for a stream: over all workers. */
async function heldSoFar(): Promise<number> {
  const texts = await Promise.all(cluster.pods.map(async (pod) => (await fetch(pod.adminUrl('/metrics'))).text()));
  const counts = texts.flatMap((text) => [...text.matchAll(/^berth_client_requests_total\{[^}]*outcome="held"[^}]*\} (\d+)$/gm)]);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

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
  const { question, text, done } = await askThrough(edge, PATH, sessionId, 's107');
  expect((await respondThrough(third, PATH, sessionId, question.id)).status).toBe(202);
  await done;
  expect(text()).toContain('file:///here');
  const asked = backend.issued.at(-1) as string;
  expect((await respondThrough(edge, PATH, sessionId, question.id)).status).toBe(202);
  expect((await respondThrough(owner, PATH, sessionId, question.id)).status).toBe(202);
  // Behind them, by the same owner in the same backend session: a second answer that was passed on would be there before this one.
  const later = await askThrough(edge, PATH, sessionId, 's107 later');
  expect((await respondThrough(third, PATH, sessionId, later.question.id)).status).toBe(202);
  await later.done;
  expect(backend.issued.at(-1)).toBe(asked);
  expect(answersAt(backend, asked)).toBe(2);
});

test('S107: an answer forged, of another session, or under an id of the backend reaches nobody', async () => {
  const [sessionId, foreign] = [await open({ roots: {} }), await open({ roots: {} })];
  const [worker] = cluster.workers();
  if (!worker) throw new Error('no worker');
  const { question, done } = await askThrough(worker, PATH, sessionId, 'forged');
  const asked = backend.issued.at(-1) as string;
  const last = question.id.at(-20) === 'A' ? 'B' : 'A';
  const altered = `${question.id.slice(0, -20)}${last}${question.id.slice(-19)}`;
  for (const [session, id] of [
    [foreign, question.id],
    [sessionId, altered],
    [sessionId, 0],
    [sessionId, '0'],
  ]) {
    const refused = await respondThrough(worker, PATH, session as string, id);
    expect(refused.status).toBe(400);
    expect(JSON.parse(refused.body)).toMatchObject({ jsonrpc: '2.0', id: null, error: { code: -32600 } });
  }
  expect(answersAt(backend, asked)).toBe(0);
  expect((await respondThrough(worker, PATH, sessionId, question.id)).status).toBe(202);
  await done;
  expect(answersAt(backend, asked)).toBe(1);
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
  const { sessionId, issued, edge, listen } = await openStrict(cluster, strict, { roots: {} });
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
  const { issued, edge, listen } = await openStrict(cluster, strict, { roots: {} });
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

test('elicitation by URL: its completion is told to the session that was asked, and -32042 passes through', async () => {
  const [asked, other] = [
    await openStrict(cluster, strict, { elicitation: { url: {} } }),
    await openStrict(cluster, strict, { elicitation: { url: {} } }),
  ];
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
  const { sessionId, issued } = await openStrict(cluster, strict, { roots: {} });
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
  const { question, text, done } = await askThrough(worker, PATH, sessionId, 'odd');
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
