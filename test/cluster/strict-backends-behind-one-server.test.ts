// S42, S45, S51, S58: backends of every strict kind behind one virtual server: one that issues ids and refuses all others, one that
// issues none and refuses any, one that answers by events alone; and each fails the test on a method that nobody has to expect.
import { type Cluster, startCluster } from '../support/cluster.js';
import { openSession, responseOf, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { sendError, StrictBackend, type StrictBackendOptions } from '../support/strict-backend.js';

const PATH = '/servers/all/mcp';
const EXPECTED = new Set(['initialize', 'notifications/initialized', 'tools/list', 'tools/call', 'ping', 'GET', 'DELETE']);
/** Asked of each new backend by a gateway that speaks both eras. */
const ERA_PROBE = 'server/discover';

const KINDS: Readonly<Record<string, StrictBackendOptions>> = {
  stateful: { lost: 'sdk', tools: [{ name: 'count', inputSchema: {} }] },
  stateless: { issueId: false, get: '405', tools: [{ name: 'echo', inputSchema: {} }] },
  events: { reply: 'sse', framing: 'crlf', protocolVersion: '2025-03-26', tools: [{ name: 'whoami', inputSchema: {} }] },
};

const strict = new Map<string, StrictBackend>();
let cluster: Cluster;

beforeAll(async () => {
  for (const [name, options] of Object.entries(KINDS)) {
    const backend = await StrictBackend.start({ ...options, idPrefix: name });
    strict.set(name, backend);
    backend.always(ERA_PROBE, (request, response) => sendError(response, 400, -32601, 'Method not found', request.message.id));
    for (const method of ['prompts/list', 'resources/list', 'resources/templates/list', 'completion/complete']) {
      backend.always(method, (_request, response) => void response.writeHead(500).end());
    }
  }
  const mcpServers = Object.fromEntries([...strict].map(([name, { url }]) => [name, { type: 'http', url }]));
  cluster = await startCluster({
    pods: 1,
    config: { mcpServers, servers: { all: { backends: [...strict.keys()] } } },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  for (const backend of strict.values()) await backend.close();
});

const get = (name: string) => strict.get(name) as StrictBackend;
const send = (request: Parameters<typeof sendRaw>[1]) => sendRaw(cluster.balancer.origin, request);

async function call(sessionId: string, tool: string): Promise<string> {
  const answer = responseOf(await send(toolCall(PATH, sessionId, tool, { text: 'x' }))) as {
    result?: { content: [{ text: string }] };
  };
  if (!answer.result) throw new Error(JSON.stringify(answer));
  return answer.result.content[0].text;
}

test('at its start the gateway asks nobody anything but his era', () => {
  for (const backend of strict.values()) {
    expect(backend.sequence.filter((what) => what !== ERA_PROBE && what !== 'initialize')).toEqual([]);
  }
});

test('all of them work in one session, and none gets what it did not offer or did not issue', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const { result } = responseOf(await send(rpc(PATH, sessionId, 'tools/list'))) as unknown as {
    result: { tools: Array<{ name: string }> };
  };
  expect(result.tools.map(({ name }) => name).sort()).toEqual(['count', 'echo', 'whoami']);
  // None of them offers prompts or resources: the lists are empty, and nobody is asked.
  for (const [method, key] of [
    ['prompts/list', 'prompts'],
    ['resources/list', 'resources'],
    ['resources/templates/list', 'resourceTemplates'],
  ] as const) {
    expect(responseOf(await send(rpc(PATH, sessionId, method)))).toMatchObject({ result: { [key]: [] } });
  }
  expect([await call(sessionId, 'count'), await call(sessionId, 'count')]).toEqual(['1', '2']);
  expect([await call(sessionId, 'echo'), await call(sessionId, 'echo')]).toEqual(['x', 'x']);
  const { headers } = JSON.parse(await call(sessionId, 'whoami'));
  expect(headers).toMatchObject({ 'mcp-protocol-version': '2025-03-26', accept: 'application/json, text/event-stream' });
  for (const [name, backend] of strict) {
    const unexpected = backend.sequence.filter((what) => !EXPECTED.has(what) && what !== ERA_PROBE);
    expect([name, unexpected]).toEqual([name, []]);
    const foreign = backend.requests.filter(({ sessionId: id }) => id !== undefined && !backend.issued.includes(id));
    expect([name, foreign.length]).toEqual([name, 0]);
    expect([name, backend.of('initialize').length]).toEqual([name, 1]);
  }
});

test('S51: two clients never see the state of one another', async () => {
  const [one, two] = [
    await openSession(cluster.balancer.origin, PATH),
    await openSession(cluster.balancer.origin, PATH),
  ] as const;
  expect([await call(one, 'count'), await call(one, 'count'), await call(two, 'count')]).toEqual(['1', '2', '1']);
});

test('S58: a call without a session is refused, reaches nobody and leaves no record', async () => {
  const records = async () => (await cluster.keys()).filter((key) => key.endsWith(':session')).length;
  const before = await records();
  const calls = get('stateless').of('tools/call').length;
  expect((await send(toolCall(PATH, undefined as never, 'echo'))).status).toBe(400);
  expect(await records()).toBe(before);
  expect(get('stateless').of('tools/call')).toHaveLength(calls);
});
