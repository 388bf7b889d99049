// S107, S108: what a backend asks the client goes out through whichever worker holds the call, and the answer comes back through any other.
import { ElicitRequestSchema, ListRootsRequestSchema, CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { join } from 'node:path';
import { type Cluster, startCluster, whenAllServe } from '../support/cluster.js';
import { answersAt, askThrough, respondThrough, ROOTS } from '../support/asking.js';
import { openSession, sendRaw, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
let backend: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend();
  const everything = { command: join(__dirname, '../../node_modules/.bin/mcp-server-everything'), args: ['stdio'] };
  cluster = await startCluster({ config: { mcpServers: { recorder: { type: 'http', url: backend.url }, everything } } });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
});

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
  expect(answers(asked)).toBe(1);
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
  expect((await respond(sessionId, question.id, edge)).status).toBe(202);
  expect((await cluster.ownerOf(sessionId)).epoch).toBeGreaterThan(next.epoch);
  expect(await callThrough(sessionId)).toBe(200);
  expect(answers(asked)).toBe(1);
});
