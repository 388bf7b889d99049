// DESIGN 4: a request that lands on a worker which does not own the session is the request that the owner would have sent. Numbers
// that JavaScript cannot hold were rounded on the way over the hop, and only there.
import { JSON_HEADERS, openSession } from '../../support/raw-request.js';
import { cluster, shareCluster } from '../../support/shared-cluster.js';
import { StrictBackend } from '../../support/strict-backend.js';

const PATH = '/servers/bytes/mcp';

let backend: StrictBackend;

shareCluster({
  async begin() {
    backend = await StrictBackend.start({});
    return { mcpServers: { bytes: { type: 'http', url: backend.url } } };
  },
  end: () => backend.close(),
});

test('a call through any worker reaches the backend byte for byte', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const bodyOf = (id: number) =>
    `{"jsonrpc":"2.0", "id":${id}, "method":"tools/call", "params":{"name":"echo", "arguments":{"text":"x","n":9007199254740993,"f":1.0}}}`;
  const sent: string[] = [];
  for (const { pid, pod } of cluster.workers()) {
    const body = bodyOf(sent.length + 1);
    const answer = await pod.sendTo(pid, {
      method: 'POST',
      path: PATH,
      headers: { ...JSON_HEADERS, 'mcp-session-id': sessionId },
      body,
    });
    expect(answer.status).toBe(200);
    sent.push(body);
  }
  const received = backend.of('tools/call').map(({ body }) => body);
  expect(received).toEqual(sent);
});
