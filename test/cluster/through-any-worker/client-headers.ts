// S30: forwarded headers reach the backend identically through owner and others, taken from each request and not from the first one.
import { openSession, type RawRequest, rpc, toolCall } from '../../support/raw-request.js';
import { type RecordedRequest, type RecordingBackend, startRecordingBackend } from '../../support/recording-backend.js';
import { cluster, shareCluster } from '../../support/shared-cluster.js';
import { waitFor } from '../../support/wait-for.js';

const PATH = '/servers/tenants/mcp';
/** None of these is a client's to say to a backend. */
const SPOOFS = {
  'x-forwarded-for': '6.6.6.6',
  'x-forwarded-user': 'admin',
  forwarded: 'for=6.6.6.6',
  'x-real-ip': '6.6.6.6',
  'x-berth-principal': 'admin',
  'x-forwarded-internally': 'true',
  'mcp-session-id-2': 'x',
  cookie: 'session=stolen',
  'proxy-authorization': 'Basic eA==',
  'x-unlisted': 'x',
};

let backend: RecordingBackend;
let sessionId: string;

shareCluster({
  async begin() {
    backend = await startRecordingBackend();
    const tenants = {
      type: 'http',
      url: backend.url,
      headers: { 'X-Fixed': 'f' },
      forwardHeaders: ['x-tenant', 'authorization'],
    };
    return { mcpServers: { tenants } };
  },
  end: () => backend.close(),
});

const withTenant = (request: RawRequest, tenant: string): RawRequest => ({
  ...request,
  headers: { ...request.headers, ...SPOOFS, 'X-Tenant': tenant, Authorization: `Bearer of-${tenant}`, 'x-fixed': 'mine' },
});

/** What of the headers is neither framing nor ours to vary. */
function carried({ headers }: RecordedRequest): Record<string, unknown> {
  const { 'content-length': _length, ...kept } = headers;
  return kept;
}

describe('headers of clients', () => {
  // Here, so that it has not long been idle.
  beforeAll(async () => {
    sessionId = await openSession(cluster.balancer.origin, PATH);
  });

  test('calls, notifications and cancellations carry their own values through every worker', async () => {
    const { pid: owner } = await openedOwner();
    const seen: Array<Record<string, unknown>> = [];
    for (const { pid, pod } of cluster.workers()) {
      const tenant = `${pid === owner ? 'owner' : 'other'}-${pid}`;
      await pod.sendTo(pid, withTenant(toolCall(PATH, sessionId, 'echo', { nonce: tenant }), tenant));
      const call = backend.requestsOf('POST', 'tools/call').at(-1) as RecordedRequest;
      expect(call.headers).toMatchObject({ 'x-tenant': tenant, authorization: `Bearer of-${tenant}`, 'x-fixed': 'f' });
      expect(Object.keys(call.headers).filter((name) => name in SPOOFS)).toEqual([]);
      seen.push({ ...carried(call), 'x-tenant': '', authorization: '' });

      const told = {
        ...rpc(PATH, sessionId, 'notifications/told'),
        body: '{"jsonrpc":"2.0","method":"notifications/told"}',
      };
      expect((await pod.sendTo(pid, withTenant(told, `told-${tenant}`))).status).toBe(202);
      const notification = await waitFor('the notification', () => backend.requestsOf('POST', 'notifications/told').at(-1));
      await waitFor(`the notification with told-${tenant}`, () =>
        backend.requestsOf('POST', 'notifications/told').some(({ headers }) => headers['x-tenant'] === `told-${tenant}`),
      );
      expect(notification.headers['x-fixed']).toBe('f');

      const id = `slow-${pid}`;
      const running = pod.sendTo(pid, withTenant(toolCall(PATH, sessionId, 'slow', { nonce: id, ms: 20_000 }, id), tenant));
      running.catch(() => undefined);
      await waitFor('the call to run', () => backend.calls.some(({ nonce }) => nonce === id));
      const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
      await pod.sendTo(pid, withTenant({ ...rpc(PATH, sessionId, 'notifications/cancelled'), body }, `stop-${tenant}`));
      await waitFor(`the cancellation with stop-${tenant}`, () =>
        backend.requestsOf('POST', 'notifications/cancelled').some(({ headers }) => headers['x-tenant'] === `stop-${tenant}`),
      );
    }
    // Owner or not: the backend cannot tell.
    for (const one of seen) expect(one).toEqual(seen[0]);
  });

  test('the GET stream to the backend carries those of the GET of the client, and of the next one when they differ', async () => {
    for (const { pid, pod } of cluster.workers()) {
      const tenant = `listener-${pid}`;
      const get = { ...rpc(PATH, sessionId, 'x'), method: 'GET', body: undefined } as unknown as RawRequest;
      const headers = { ...get.headers, accept: 'text/event-stream' };
      const { call } = await pod.beginAt(pid, withTenant({ path: PATH, method: 'GET', headers }, tenant));
      try {
        await waitFor(
          () => `a GET with ${tenant}, seen ${backend.requestsOf('GET').map((one) => one.headers['x-tenant'])}`,
          () => backend.requestsOf('GET').some((one) => one.headers['x-tenant'] === tenant),
          15_000,
        );
      } finally {
        call.on('error', () => undefined).destroy();
      }
    }
  });
});

async function openedOwner() {
  await cluster.workers()[0]?.pod.sendTo(cluster.workers()[0]?.pid as number, toolCall(PATH, sessionId, 'whoami'));
  return cluster.ownerOf(sessionId);
}
