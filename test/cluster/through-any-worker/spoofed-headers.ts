// S27: what marks a hop is believed on the internal listener only. At the public edge such headers are dropped.
import { openSession, type RawAnswer, rpc, toolCall } from '../../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../../support/recording-backend.js';
import { cluster, shareCluster } from '../../support/shared-cluster.js';

const PATH = '/servers/spoofed/mcp';
/** Another server with the same backend. */
const OTHER = 'beside-spoofed';

let backend: RecordingBackend;
let sessionId: string;

shareCluster({
  async begin() {
    backend = await startRecordingBackend();
    return {
      mcpServers: { spoofed: { type: 'http', url: backend.url, forwardHeaders: ['x-tenant'] } },
      servers: { [OTHER]: { backends: ['spoofed'] } },
    };
  },
  end: () => backend.close(),
});

const spoofs: Array<[string, () => Promise<Record<string, string | string[]>>]> = [
  ['the mark of a hop', async () => ({ 'x-forwarded-internally': 'true' })],
  ['the mark in other letters', async () => ({ 'X-Forwarded-INTERNALLY': '1' })],
  ['the mark twice', async () => ({ 'x-forwarded-internally': ['true', 'true'] })],
  [
    'the real owner and epoch',
    async () => {
      const { worker, epoch } = await cluster.ownerOf(sessionId);
      return {
        'x-forwarded-internally': 'true',
        'x-berth-owner': worker,
        'x-berth-epoch': String(epoch),
        'x-berth-hop': `${worker} ${epoch}`,
      };
    },
  ],
  [
    'another principal',
    async () => ({ 'x-forwarded-internally': 'true', 'x-berth-principal': 'admin', 'x-forwarded-user': 'admin' }),
  ],
  ['another server', async () => ({ 'x-forwarded-internally': 'true', 'x-berth-server': OTHER, 'x-berth-server-id': OTHER })],
  ['a refusal', async () => ({ 'x-berth-refused': 'somebody.else 9' })],
];

describe('spoofed headers', () => {
  // Here, so that it has not long been idle.
  beforeAll(async () => {
    sessionId = await openSession(cluster.balancer.origin, PATH);
  });

  test.each(spoofs)('%s changes nothing on any worker', async (_name, make) => {
    const spoof = await make();
    for (const { pid, pod } of cluster.workers()) {
      const plain = toolCall(PATH, sessionId, 'echo', { nonce: 'n', text: 'same' });
      const request = { ...plain, headers: { ...plain.headers, accept: 'application/json' } };
      const expected = comparable(await pod.sendTo(pid, request));
      const spoofed = comparable(await pod.sendTo(pid, { ...request, headers: { ...request.headers, ...spoof } }));
      expect(spoofed).toEqual(expected);
      expect(spoofed.status).toBe(200);

      const foreign = rpc(`/servers/${OTHER}/mcp`, sessionId, 'tools/list');
      expect((await pod.sendTo(pid, { ...foreign, headers: { ...foreign.headers, ...spoof } })).status).toBe(404);
    }
  });

  test('no internal header reaches a backend or comes back to the client', async () => {
    const request = toolCall(PATH, sessionId, 'echo', { nonce: 'n' });
    const headers = { ...request.headers, 'x-berth-anything': '1', 'x-forwarded-internally': 'true', 'x-tenant': 'blue' };
    for (const { pid, pod } of cluster.workers()) {
      const answer = await pod.sendTo(pid, { ...request, headers });
      expect(Object.keys(answer.headers).filter(isInternal)).toEqual([]);
    }
    for (const { headers: seen } of backend.requests) expect(Object.keys(seen).filter(isInternal)).toEqual([]);
    // S30: what may be passed on is, from each request, through owner and others alike.
    expect(
      backend
        .requestsOf('POST', 'tools/call')
        .slice(-4)
        .map((one) => one.headers['x-tenant']),
    ).toEqual(Array(4).fill('blue'));
  });
});

const isInternal = (name: string) => name.startsWith('x-berth-') || name === 'x-forwarded-internally';

function comparable({ status, headers, body }: RawAnswer): RawAnswer {
  const { date: _date, ...kept } = headers;
  return { status, headers: kept, body };
}
