// Batches of 2025-03-26 on two pods with two workers each: every request in one is answered once, through whichever worker it comes,
// and begun at most once, also when the owner is killed in the middle.
import type { IncomingMessage } from 'node:http';
import { BridgeProcess } from '../support/bridge-process.js';
import { type Cluster, startCluster, whenAllServe } from '../support/cluster.js';
import { eventsOf, JSON_HEADERS, openSession, type RawRequest } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { type SdkSseBackend, startSdkSseBackend } from '../support/sdk-sse-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/both/mcp';

let backend: RecordingBackend;
let legacy: SdkSseBackend;
let cluster: Cluster;
let sessionId: string;

beforeAll(async () => {
  backend = await startRecordingBackend();
  legacy = await startSdkSseBackend();
  cluster = await startCluster({
    config: {
      limits: { body: '1MiB' },
      mcpServers: { recorder: { type: 'http', url: backend.url }, legacy: { type: 'sse', url: legacy.url } },
      servers: { both: { backends: ['recorder', 'legacy'] } },
    },
  });
  sessionId = await openSession(cluster.balancer.origin, PATH, '2025-03-26');
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
  await legacy?.close();
});

const request = (id: unknown, method: string, params?: object) => ({ jsonrpc: '2.0', id, method, params });
const call = (id: unknown, name: string, args: object, more: object = {}) =>
  request(id, 'tools/call', { name, arguments: args, ...more });
const note = (method: string, params?: object) => ({ jsonrpc: '2.0', method, params });
const post = (body: unknown, of = sessionId, headers: Record<string, string> = {}): RawRequest => ({
  path: PATH,
  headers: { ...JSON_HEADERS, 'mcp-session-id': of, ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const JSON_ONLY = { accept: 'application/json' };
const begun = (nonce: string) => [...backend.calls, ...legacy.calls].filter((one) => one.nonce === nonce).length;

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly result?: { content?: Array<{ text: string }>; tools?: unknown[] };
  readonly error?: { code: number; message: string; data?: { reason?: string } };
}

function messagesOf(type: string | undefined, text: string): Message[] {
  if (!type?.startsWith('text/event-stream')) return JSON.parse(text);
  return eventsOf(text).flatMap(({ data }) => (data === '' ? [] : JSON.parse(data)));
}

const byId = (messages: readonly Message[], id: unknown) => messages.filter((one) => one.id === id && one.method === undefined);

/** Each id has one answer. */
function only(messages: readonly Message[], id: unknown): Message {
  const found = byId(messages, id);
  expect({ id, answers: found.length }).toEqual({ id, answers: 1 });
  return found[0] as Message;
}

/** What of an answer has come so far. */
function collect(answer: IncomingMessage) {
  let text = '';
  let ended = false;
  answer.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  answer.on('end', () => {
    ended = true;
  });
  answer.on('error', () => undefined);
  const type = answer.headers['content-type'];
  return { messages: () => messagesOf(type, text.slice(0, text.lastIndexOf('\n\n') + 2)), text: () => text, ended: () => ended };
}

async function ownerAndOther() {
  const owner = await cluster.ownerOf(sessionId);
  const edge = cluster.workers().find(({ pod }) => pod !== owner.pod);
  if (!edge) throw new Error('no worker of another pod');
  return { owner, edge };
}

test('through every worker a mixed batch is answered once for each request', async () => {
  for (const { pid, pod } of cluster.workers()) {
    const nonce = `mixed-${pid}`;
    const answer = await pod.sendTo(
      pid,
      post([
        call(1, 'recorder__echo', { nonce, text: 'x' }),
        call('1', 'legacy__echo', { nonce, text: 'y', server_id: 'kept' }, { server_id: 'recorder' }),
        note('notifications/roots/list_changed'),
        request(2, 'tools/list', { server_id: 'recorder' }),
        request('ping', 'ping'),
        request(3, 'initialize', {}),
        call(1, 'recorder__echo', { nonce: `${nonce}-second`, text: 'z' }),
        call(4, 'recorder__nosuch', {}),
        { jsonrpc: '2.0', id: 'forged', result: {} },
        { jsonrpc: '2.0', id: { __proto__: null }, method: 'ping' },
        [request(5, 'ping')],
        7,
      ]),
    );
    expect(answer.status).toBe(200);
    expect(answer.headers['mcp-protocol-version']).toBe('2025-03-26');
    const messages = messagesOf(answer.headers['content-type'], answer.body);
    expect(only(messages, 1).result?.content?.[0]?.text).toBe(`${nonce}:x`);
    expect(only(messages, '1').result?.content?.[0]?.text).toBe(`${nonce}:y`);
    expect(only(messages, 2).result?.tools?.length).toBeGreaterThan(10);
    expect(only(messages, 'ping').result).toEqual({});
    expect(only(messages, 3).error?.code).toBe(-32600);
    expect(only(messages, 4).error?.code).toBe(-32602);
    expect(byId(messages, null).map(({ error }) => error?.code)).toEqual([-32600, -32600, -32600, -32600, -32600]);
    expect(byId(messages, 5)).toEqual([]);
    expect([begun(nonce), begun(`${nonce}-second`)]).toEqual([2, 0]);
  }
  for (const { params } of backend.requests) expect(Object.keys(params ?? {})).not.toContain('server_id');
});

test('notifications alone are 202, and the revision of the session decides, not the header', async () => {
  const newer = await openSession(cluster.balancer.origin, PATH);
  for (const { pid, pod } of cluster.workers()) {
    const accepted = await pod.sendTo(pid, post([note('notifications/roots/list_changed'), note('notifications/x')]));
    expect([accepted.status, accepted.body]).toEqual([202, '']);
    for (const version of ['2025-03-26', '2025-11-25']) {
      const headers = { 'mcp-protocol-version': version };
      expect((await pod.sendTo(pid, post([request(1, 'ping')], sessionId, headers))).status).toBe(200);
      const refused = await pod.sendTo(pid, post([call(1, 'recorder__echo', { nonce: 'newer' })], newer, headers));
      expect(refused.status).toBe(400);
      expect(JSON.parse(refused.body)).toMatchObject({
        id: null,
        error: { code: -32600, message: expect.stringContaining('negotiated 2025-11-25') },
      });
    }
  }
  expect(begun('newer')).toBe(0);
});

test('what is no batch that can be taken is 400 from every worker, and begins nothing', async () => {
  const hostile = { nonce: 'hostile', text: 'x' };
  const hundred = (count: number) => Array.from({ length: count }, (_, id) => request(id, 'ping'));
  const modern = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } };
  const bodies: Array<[number, unknown]> = [
    [400, []],
    [400, [call(1, 'recorder__echo', hostile), ...hundred(100)]],
    [400, [call(1, 'recorder__echo', hostile), request(2, 'ping', modern)]],
    [400, [1, 'x', null, [], { __proto__: 1 }]],
    [400, `[${'['.repeat(100_000)}${']'.repeat(100_000)}]`],
    [400, `[${JSON.stringify(call(1, 'recorder__echo', hostile))}`],
    [413, `[${' '.repeat(1024 * 1024)}]`],
  ];
  for (const { pid, pod } of cluster.workers()) {
    for (const [status, body] of bodies) expect((await pod.sendTo(pid, post(body))).status).toBe(status);
    expect(messagesOf(undefined, (await pod.sendTo(pid, post(hundred(100)))).body)).toHaveLength(100);
    const stranger = post([call(1, 'recorder__echo', hostile)], 'A'.repeat(32));
    expect(await pod.sendTo(pid, stranger)).toMatchObject({ status: 404, body: expect.stringContaining('"id":null') });
  }
  expect(begun('hostile')).toBe(0);
});

test('progress of the calls passes as it happens, and one of them is cancelled through another worker', async () => {
  const { owner, edge } = await ownerAndOther();
  const held = backend.holdSteps();
  const { answer } = await edge.pod.beginAt(
    edge.pid,
    post([
      call('a', 'recorder__emit', { nonce: 'live-a', steps: 2 }, { _meta: { progressToken: 'ta' } }),
      call('b', 'recorder__emit', { nonce: 'live-b', steps: 2 }, { _meta: { progressToken: 'tb' } }),
      call('c', 'legacy__echo', { nonce: 'live-c', text: 'c' }),
    ]),
  );
  const seen = collect(answer);
  await waitFor(
    () => `progress of both, and the answer of the third; so far ${seen.text()}`,
    () =>
      seen.messages().filter(({ method }) => method === 'notifications/progress').length === 2 &&
      byId(seen.messages(), 'c').length === 1,
  );
  expect(seen.text()).not.toMatch(/^id:/m);
  expect((await owner.pod.sendTo(owner.pid, post([note('notifications/cancelled', { requestId: 'a' })]))).status).toBe(202);
  expect(seen.ended()).toBe(false);
  for (let step = 0; step < 4; step++) held.step();
  await waitFor(
    () => `the end of the batch; so far ${seen.text()}`,
    () => {
      held.step();
      return seen.ended();
    },
  );
  // Whoever takes a request back gets no answer; the others do not wait for it.
  expect(byId(seen.messages(), 'a')).toEqual([]);
  expect(only(seen.messages(), 'b').result?.content?.[0]?.text).toBe('live-b:emitted');
  expect(only(seen.messages(), 'c').result?.content?.[0]?.text).toBe('live-c:c');
});

test('a client behind the stdio bridge sends one too', async () => {
  const bridge = new BridgeProcess(cluster.url(PATH));
  try {
    await bridge.open('2025-03-26');
    bridge.send([call(1, 'recorder__echo', { nonce: 'bridged', text: 'x' }), request(2, 'ping'), note('notifications/x')]);
    const all = () => (bridge.lines as unknown[]).flat() as Message[];
    await waitFor(
      () => `both answers; stdout: ${bridge.stdout}`,
      () => byId(all(), 1).length + byId(all(), 2).length === 2,
    );
    expect(only(all(), 1).result?.content?.[0]?.text).toBe('bridged:x');
  } finally {
    bridge.child.kill();
    await bridge.exited;
  }
});

test.each([
  ['a stream', JSON_HEADERS],
  ['an array', JSON_ONLY],
])(
  'when the owner is killed in the middle of a batch answered by %s, each request is answered once and none begins again',
  async (how, headers) => {
    const { owner, edge } = await ownerAndOther();
    const held = backend.holdSteps();
    const nonces = ['one', 'two', 'three'].map((name) => `${how}-${name}`);
    const sent = edge.pod.beginAt(
      edge.pid,
      post(
        [
          call(1, 'recorder__emit', { nonce: nonces[0], steps: 2 }, { _meta: { progressToken: 't' } }),
          call(2, 'legacy__echo', { nonce: nonces[1], text: 'quick' }),
          call(3, 'recorder__emit', { nonce: nonces[2], steps: 1 }),
          note('notifications/x'),
        ],
        sessionId,
        headers,
      ),
    );
    sent.catch(() => undefined);
    await waitFor(`the calls of session ${sessionId.slice(0, 4)} to begin`, () => nonces.every((nonce) => begun(nonce) === 1));
    if (how === 'a stream') {
      const early = collect((await sent).answer);
      await waitFor(
        () => `the quick answer; so far ${early.text()}`,
        () => byId(early.messages(), 2).length === 1,
      );
      process.kill(owner.pid, 'SIGKILL');
      await waitFor(
        () => `the end of the stream; so far ${early.text()}`,
        () => early.ended(),
      );
      for (const id of [1, 3])
        expect(only(early.messages(), id).error).toMatchObject({ code: -32012, data: { reason: 'owner_lost' } });
      expect(only(early.messages(), 2).result?.content?.[0]?.text).toBe(`${nonces[1]}:quick`);
    } else {
      process.kill(owner.pid, 'SIGKILL');
      const { answer } = await sent;
      const late = collect(answer);
      await waitFor('the end of the answer', () => late.ended());
      expect(answer.statusCode).toBe(200);
      const messages = messagesOf(answer.headers['content-type'], late.text());
      for (const id of [1, 2, 3]) expect(only(messages, id).error?.code).toBe(-32012);
    }
    held.step();
    await whenAllServe(cluster);
    const next = await edge.pod.sendTo(
      edge.pid,
      post([call(1, 'recorder__echo', { nonce: `${how}-after`, text: 'x' }), request(2, 'ping')]),
    );
    const messages = messagesOf(next.headers['content-type'], next.body);
    expect(only(messages, 1).result?.content?.[0]?.text).toBe(`${how}-after:x`);
    expect(nonces.map(begun)).toEqual([1, 1, 1]);
  },
);
