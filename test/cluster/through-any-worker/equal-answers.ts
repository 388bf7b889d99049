// S24 and the table of DESIGN 9.3: the same bytes in give the same bytes out, whoever owns the session.
import { JSON_HEADERS, openSession, type RawAnswer, type RawRequest, rpc, toolCall } from '../../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../../support/recording-backend.js';
import { BODY_LIMIT_BYTES, cluster, shareCluster } from '../../support/shared-cluster.js';

const PATH = '/servers/narrow/mcp';

let backend: RecordingBackend;
let sessionId: string;

shareCluster({
  async begin() {
    backend = await startRecordingBackend();
    return {
      mcpServers: { whole: { type: 'http', url: backend.url } },
      servers: {
        narrow: { backends: ['whole'], tools: { include: ['echo', 'whoami', 'fail'] } },
        'beside-narrow': { backends: ['whole'] },
      },
    };
  },
  end: () => backend.close(),
});

/** JSON alone: events would carry ids that differ between two answers of the same worker. */
const asJson = (request: RawRequest): RawRequest => ({ ...request, headers: { ...request.headers, accept: 'application/json' } });

const inSession = (request: RawRequest, headers: Record<string, string> = {}): RawRequest => ({
  ...request,
  headers: { ...JSON_HEADERS, 'mcp-session-id': sessionId, ...headers },
});

const requests: Array<[name: string, status: number, make: () => RawRequest]> = [
  ['tools/list', 200, () => asJson(rpc(PATH, sessionId, 'tools/list'))],
  ['tools/call', 200, () => asJson(toolCall(PATH, sessionId, 'echo', { nonce: 'n', text: 'same' }))],
  ['a string id', 200, () => asJson(toolCall(PATH, sessionId, 'whoami', {}, 'text-id'))],
  ['a tool that fails', 200, () => asJson(toolCall(PATH, sessionId, 'fail'))],
  ['a tool that is not listed', 200, () => asJson(toolCall(PATH, sessionId, 'slow', { ms: 0 }))],
  ['bad arguments', 200, () => asJson(toolCall(PATH, sessionId, 'echo', { text: 7 }))],
  ['ping', 200, () => asJson(rpc(PATH, sessionId, 'ping'))],
  ['an unknown method', 200, () => asJson(rpc(PATH, sessionId, 'no/such'))],
  ['a notification', 202, () => inSession({ path: PATH, body: '{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}' })],
  ['no JSON', 400, () => inSession({ path: PATH, body: '{"jsonrpc":' })],
  ['no JSON-RPC', 400, () => inSession({ path: PATH, body: '{"hello":1}' })],
  ['a batch', 400, () => inSession({ path: PATH, body: '[{"jsonrpc":"2.0","id":1,"method":"ping"}]' })],
  ['array params', 400, () => inSession({ path: PATH, body: '{"jsonrpc":"2.0","id":5,"method":"tools/list","params":[1]}' })],
  ['no session id', 400, () => rpc(PATH, undefined, 'tools/list')],
  ['an unsupported version', 400, () => inSession(rpc(PATH, sessionId, 'ping'), { 'mcp-protocol-version': '1999-01-01' })],
  ['an unknown session', 404, () => rpc(PATH, 'A'.repeat(32), 'tools/list')],
  ['a malformed session id', 404, () => rpc(PATH, 'no such: id', 'tools/list')],
  ['another server', 404, () => rpc('/servers/beside-narrow/mcp', sessionId, 'tools/list')],
  ['all backends', 404, () => rpc('/mcp', sessionId, 'tools/list')],
  ['an unknown server', 404, () => rpc('/servers/nowhere/mcp', sessionId, 'tools/list')],
  ['an empty server', 404, () => rpc('/servers//mcp', sessionId, 'tools/list')],
  ['PUT', 405, () => inSession({ method: 'PUT', path: PATH, body: '{}' })],
  ['unusable Accept', 406, () => inSession(rpc(PATH, sessionId, 'ping'), { accept: 'text/html' })],
  [
    'GET without event-stream',
    406,
    () => ({ method: 'GET', path: PATH, headers: { accept: 'application/json', 'mcp-session-id': sessionId } }),
  ],
  ['a body too large', 413, () => inSession({ path: PATH, body: `"${'x'.repeat(BODY_LIMIT_BYTES)}"` })],
  ['a wrong content type', 415, () => inSession(rpc(PATH, sessionId, 'ping'), { 'content-type': 'text/plain' })],
  ['DELETE of an unknown session', 404, () => ({ method: 'DELETE', path: PATH, headers: { 'mcp-session-id': 'B'.repeat(32) } })],
];

describe('answers', () => {
  // Here, so that it has not long been idle.
  beforeAll(async () => {
    sessionId = await openSession(cluster.balancer.origin, PATH);
  });

  test.each(requests)('%s gets %i with the same bytes from every worker', async (_name, status, make) => {
    const owner = await cluster.ownerOf(sessionId);
    const reference = comparable(await owner.pod.sendTo(owner.pid, make()));
    expect(reference.status).toBe(status);
    for (const { pid, pod } of cluster.workers()) {
      // Twice: a first forward reads the record, a second one takes the owner from the cache.
      expect(comparable(await pod.sendTo(pid, make()))).toEqual(reference);
      expect(comparable(await pod.sendTo(pid, make()))).toEqual(reference);
    }
  });

  test('tools/list of a virtual server shows its tools only, in the same order everywhere', async () => {
    for (const { pid, pod } of cluster.workers()) {
      const { result } = JSON.parse((await pod.sendTo(pid, asJson(rpc(PATH, sessionId, 'tools/list')))).body);
      expect(result.tools.map(({ name }: { name: string }) => name)).toEqual(['echo', 'whoami', 'fail']);
    }
  });

  test('every JSON-RPC error carries the id of its request', async () => {
    for (const { pid, pod } of cluster.workers()) {
      const unknown = await pod.sendTo(pid, rpc(PATH, 'C'.repeat(32), 'tools/list', {}, 'mine'));
      expect(JSON.parse(unknown.body)).toMatchObject({ jsonrpc: '2.0', id: 'mine', error: { code: -32001 } });
      const unlisted = await pod.sendTo(pid, asJson(toolCall(PATH, sessionId, 'slow', { ms: 0 }, 77)));
      expect(JSON.parse(unlisted.body)).toMatchObject({ jsonrpc: '2.0', id: 77, error: { code: -32602 } });
    }
  });

  test('no backend ever saw a server_id, an id of ours, or a call that was refused', () => {
    for (const request of backend.requests) {
      expect(JSON.stringify(request.params ?? {})).not.toContain('server_id');
      expect(request.headers['mcp-session-id']).not.toBe(sessionId);
    }
    expect(backend.calls.filter(({ tool }) => tool === 'slow')).toEqual([]);
    expect(backend.issued).toHaveLength(1);
  });
});

function comparable({ status, headers, body }: RawAnswer): RawAnswer {
  const { date: _date, ...kept } = headers;
  return { status, headers: kept, body };
}
