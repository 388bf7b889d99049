// S84, S85, S86, S134: two callers with keys, two pods. Whoever has the id of another's session has nothing, through any worker.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { referenceOf, type SessionId } from '../../src/protocol/ids.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { JSON_HEADERS, type RawAnswer, type RawRequest, responseOf, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
const newKey = () => randomBytes(24).toString('hex');
const digest = (key: string) => createHash('sha256').update(key).digest('hex');
const [ALICE, BOB] = [newKey(), newKey()];

let directory: string;
let backend: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'berth-keys-'));
  writeKeys({ alice: ALICE });
  backend = await startRecordingBackend();
  const forwardHeaders = ['authorization', 'x-api-key', 'x-tenant'];
  cluster = await startCluster({
    config: {
      auth: { mode: 'keys', keys: [{ id: 'bob', sha256: digest(BOB) }], keysFile: join(directory, 'keys.yaml') },
      mcpServers: { recorder: { type: 'http', url: backend.url, forwardHeaders } },
      servers: { other: { backends: ['recorder'] } },
    },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** As an editor or Kubernetes would: another file in its place. */
function writeKeys(keys: Record<string, string>): void {
  const lines = Object.entries(keys).map(([id, key]) => `${id}: "${digest(key)}"\n`);
  writeFileSync(join(directory, 'next'), lines.join(''));
  renameSync(join(directory, 'next'), join(directory, 'keys.yaml'));
}

const withKey = (key: string, raw: RawRequest): RawRequest => ({
  ...raw,
  headers: { ...raw.headers, authorization: `Bearer ${key}` },
});
const send = (raw: RawRequest) => sendRaw(cluster.balancer.origin, raw);

async function open(key: string): Promise<string> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
  const answer = await send(withKey(key, rpc(PATH, undefined, 'initialize', params)));
  if (answer.status !== 200) throw new Error(`initialize: ${answer.status} ${answer.body}`);
  return answer.headers['mcp-session-id'] as string;
}

const attempts: Array<[string, (id: string) => RawRequest]> = [
  ['a call', (id) => toolCall(PATH, id, 'counter', {}, 'mine')],
  [
    'a notification',
    (id) => ({
      ...rpc(PATH, id, 'x'),
      body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }),
    }),
  ],
  ['an answer', (id) => ({ ...rpc(PATH, id, 'x'), body: JSON.stringify({ jsonrpc: '2.0', id: 1, result: {} }) })],
  ['a stream', (id) => ({ method: 'GET', path: PATH, headers: { accept: 'text/event-stream', 'mcp-session-id': id } })],
  [
    'a resumption',
    (id) => ({
      method: 'GET',
      path: PATH,
      headers: { accept: 'text/event-stream', 'mcp-session-id': id, 'last-event-id': 'x.1.1' },
    }),
  ],
  ['DELETE', (id) => ({ method: 'DELETE', path: PATH, headers: { 'mcp-session-id': id } })],
];

const comparable = ({ status, headers, body }: RawAnswer) => {
  const { date: _date, ...kept } = headers;
  return { status, headers: kept, body };
};
const auditOf = (sessionId: string) =>
  cluster.pods
    .flatMap((pod) => pod.logs())
    .filter((line) => line.audit === true && line.session === referenceOf(sessionId as SessionId));

test.each(attempts)('%s of another principal is answered like that of nobody, through any worker', async (_what, attempt) => {
  const mine = await open(ALICE);
  const call = (n: number) => send(withKey(ALICE, toolCall(PATH, mine, 'counter', {}, n)));
  expect(responseOf(await call(1)).result).toBeDefined();
  const before = { ...(await cluster.ownerOf(mine)), calls: backend.requests.length };
  for (const { pid, pod } of cluster.workers()) {
    const nobody = comparable(await pod.sendTo(pid, withKey(BOB, attempt('A'.repeat(32)))));
    expect(nobody.status).toBe(404);
    expect(comparable(await pod.sendTo(pid, withKey(BOB, attempt(mine))))).toEqual(nobody);
  }
  expect(backend.requests.length).toBe(before.calls);
  const after = await cluster.ownerOf(mine);
  expect([after.worker, after.epoch]).toEqual([before.worker, before.epoch]);
  expect(responseOf(await call(2)).result).toBeDefined();
  // One line an attempt, wherever it was found out.
  await waitFor(
    () => `audit lines, got ${JSON.stringify(auditOf(mine))}`,
    () => auditOf(mine).length === cluster.workers().length,
  );
  expect(new Set(auditOf(mine).map((line) => line.principal))).toEqual(new Set(['key:bob']));
});

test("another server's path does not reach a session either, and moves nothing", async () => {
  const mine = await open(ALICE);
  const owner = await cluster.ownerOf(mine);
  for (const path of ['/servers/other/mcp', '/mcp']) {
    for (const { pid, pod } of cluster.workers()) {
      for (const raw of [rpc(path, mine, 'tools/list'), { method: 'DELETE', path, headers: { 'mcp-session-id': mine } }]) {
        expect((await pod.sendTo(pid, withKey(ALICE, raw))).status).toBe(404);
      }
    }
  }
  expect(await cluster.ownerOf(mine)).toMatchObject({ worker: owner.worker, epoch: owner.epoch });
  expect((await send(withKey(ALICE, rpc(PATH, mine, 'ping')))).status).toBe(200);
});

test('one precedence decides, through the owner and through others; no credential reaches a backend', async () => {
  const mine = await open(ALICE);
  const seen = backend.requests.length;
  const request = toolCall(PATH, mine, 'counter');
  for (const { pid, pod } of cluster.workers()) {
    const status = async (headers: Record<string, string>) =>
      (await pod.sendTo(pid, { ...request, headers: { ...request.headers, ...headers } })).status;
    expect(await status({ authorization: `Bearer ${ALICE}`, 'x-api-key': BOB, 'x-tenant': 'blue' })).toBe(200);
    expect(await status({ authorization: `Bearer ${BOB}`, 'x-api-key': ALICE })).toBe(404);
    expect(await status({ authorization: 'Bearer wrong', 'x-api-key': ALICE })).toBe(401);
    expect(await status({ 'x-api-key': ALICE, 'x-tenant': 'blue' })).toBe(200);
    expect(await status({})).toBe(401);
  }
  const calls = backend.requestsOf('POST', 'tools/call').slice(-2 * cluster.workers().length);
  expect(new Set(calls.map(({ headers }) => headers['x-tenant']))).toEqual(new Set(['blue']));
  for (const { headers } of backend.requests.slice(seen)) {
    expect([headers.authorization, headers['x-api-key']]).toEqual([undefined, undefined]);
  }
});

test('a rotated key keeps the session, the old one is refused; a key that was taken out lets nobody in; a bad file changes nothing', async () => {
  const mine = await open(ALICE);
  const next = newKey();
  const statusWith = async (key: string, worker: { pid: number; pod: Cluster['pods'][number] }) =>
    (await worker.pod.sendTo(worker.pid, withKey(key, rpc(PATH, mine, 'ping')))).status;
  const everywhere = (what: string, key: string, status: number) =>
    waitFor(
      `${what} on every worker`,
      async () => {
        for (const worker of cluster.workers()) if ((await statusWith(key, worker)) !== status) return false;
        return true;
      },
      20_000,
    );
  writeKeys({ alice: next });
  await everywhere('the new key', next, 200);
  await everywhere('the end of the old key', ALICE, 401);

  writeFileSync(join(directory, 'keys.yaml'), 'alice: [\n');
  await waitFor(
    'a warning on every worker',
    () => {
      const workers = cluster.pods.flatMap((pod) => pod.logs()).filter((line) => String(line.msg).includes('cannot be used'));
      return workers.length >= cluster.workers().length;
    },
    20_000,
  );
  await everywhere('the key in spite of a bad file', next, 200);

  writeKeys({ carol: newKey() });
  await everywhere('the end of the key', next, 401);
  // Nothing of keys, digests or ids in any log.
  const logs = JSON.stringify(cluster.pods.map((pod) => [pod.logs(), pod.stderr()]));
  for (const secret of [ALICE, BOB, next, digest(ALICE), mine]) expect(logs).not.toContain(secret);
});

test('the page at / does not name servers', async () => {
  const page = await send({ method: 'GET', path: '/', headers: JSON_HEADERS });
  expect(page.status).toBe(200);
  expect(page.body).not.toContain('recorder');
});
