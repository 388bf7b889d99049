// S12: the socket file of a live worker is gone (a cleaner of temporary files, an operator): its lease goes on to be renewed, and every
// forward to it fails. Its own probe finds that, it listens anew, and its sessions go on without a failed call.
import { rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Redis } from 'ioredis';
import type { Lease } from '../../src/directory/directory.js';
import { makeKeys } from '../../src/directory/keys.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { isAlive } from '../support/processes.js';
import { toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient } from '../support/sdk-client.js';
import { lasted, waitFor } from '../support/wait-for.js';

const LEASE_MS = 3000;
const PATH = '/servers/recorder/mcp';
const ANEW = 'the internal listener fails its own probe: listening anew';

let backend: RecordingBackend;
let cluster: Cluster;
let redis: Redis;

beforeAll(async () => {
  backend = await startRecordingBackend();
  cluster = await startCluster({
    pods: 1,
    config: { internal: { lease: `${LEASE_MS}ms` }, mcpServers: { recorder: { type: 'http', url: backend.url } } },
  });
  redis = new Redis(cluster.redis.url);
});
afterAll(async () => {
  redis?.disconnect();
  await cluster?.dispose();
  await backend?.close();
});

const readLease = async (id: string): Promise<Lease | undefined> => {
  const text = await redis.get(makeKeys(cluster.prefix).lease(id as Lease['id']));
  return text === null ? undefined : (JSON.parse(text) as Lease);
};

/** A call through exactly this worker; @returns the text of its result */
async function callThrough(pid: number, sessionId: string, nonce: string): Promise<string> {
  const pod = cluster.pods[0] as Cluster['pods'][number];
  const answer = await pod.sendTo(pid, toolCall(PATH, sessionId, 'echo', { nonce, text: 'x' }));
  const json = answer.body.match(/\{.*\}/)?.[0] ?? '{}';
  return JSON.parse(json).result?.content?.[0]?.text ?? `${answer.status} ${answer.body}`;
}

test.each([
  ['a worker that has never forwarded to it', false, (socket: string) => socket],
  ['a worker that holds a connection to it', true, (socket: string) => socket],
  ['any worker, when the whole directory went', true, dirname],
])('its session is served through %s, without a failed call', async (_name, isConnected, whatGoes) => {
  const session = await connectSdkClient(cluster.url(PATH));
  const owner = await cluster.ownerOf(session.sessionId);
  const other = cluster.workers().find(({ pid }) => pid !== owner.pid)?.pid as number;
  const before = (await readLease(owner.worker)) as Lease;
  if (isConnected) expect(await callThrough(other, session.sessionId, 'warm')).toBe('warm:x');

  rmSync(whatGoes(before.unixSocket), { recursive: true });
  const answered: string[] = [];
  const after = await waitFor(
    () => `worker ${owner.worker} to name another socket than ${before.unixSocket}`,
    async () => {
      answered.push(await callThrough(other, session.sessionId, `n-${answered.length}`));
      const lease = await readLease(owner.worker);
      return lease && lease.unixSocket !== before.unixSocket && lease;
    },
    10_000,
  );
  expect(after.tcp).toBeDefined();
  expect(after.tcp?.port).not.toBe(before.tcp?.port);
  for (let call = 0; call < 20; call++) answered.push(await callThrough(other, session.sessionId, `n-${answered.length}`));

  expect(answered).toEqual(answered.map((_, i) => `n-${i}:x`));
  // The same worker under the same epoch: nobody took over.
  expect(await cluster.ownerOf(session.sessionId)).toMatchObject({ worker: owner.worker, epoch: owner.epoch, pid: owner.pid });
  const pod = cluster.pods[0] as Cluster['pods'][number];
  expect(pod.logs().filter(({ msg, unixSocket }) => msg === ANEW && unixSocket === before.unixSocket)).toHaveLength(1);
  await session.end();
});

test('a worker that was stopped for longer than its probe takes does not listen anew when it wakes', async () => {
  const session = await connectSdkClient(cluster.url(PATH));
  const owner = await cluster.ownerOf(session.sessionId);
  const other = cluster.workers().find(({ pid }) => pid !== owner.pid)?.pid as number;
  const before = (await readLease(owner.worker)) as Lease;
  const pod = cluster.pods[0] as Cluster['pods'][number];
  const warnings = () => pod.logs().filter(({ msg, pid }) => msg === ANEW && (pid === undefined || pid === owner.pid)).length;
  const warned = warnings();
  for (let round = 0; round < 5; round++) {
    process.kill(owner.pid, 'SIGSTOP');
    await lasted(LEASE_MS / 2);
    process.kill(owner.pid, 'SIGCONT');
    expect(await callThrough(other, session.sessionId, `woken-${round}`)).toBe(`woken-${round}:x`);
  }
  expect(warnings()).toBe(warned);
  expect((await readLease(owner.worker))?.unixSocket).toBe(before.unixSocket);
  await session.end();
});

test('a worker that cannot listen anew ends, its primary replaces it, and its session goes on elsewhere', async () => {
  const session = await connectSdkClient(cluster.url(PATH));
  const owner = await cluster.ownerOf(session.sessionId);
  const { unixSocket } = (await readLease(owner.worker)) as Lease;
  const [index, pid, turn] = basename(unixSocket, '.sock').split('-');
  writeFileSync(join(dirname(unixSocket), `${index}-${pid}-${Number(turn ?? 0) + 1}.sock`), 'in the way');
  rmSync(unixSocket);
  const pod = cluster.pods[0] as Cluster['pods'][number];
  await waitFor(`worker ${owner.pid} to end`, () => !isAlive(owner.pid), 10_000);
  expect(await readLease(owner.worker)).toBeUndefined();
  expect(await session.callText('echo', { nonce: 'moved', text: 'x' })).toBe('moved:x');
  expect((await cluster.ownerOf(session.sessionId)).epoch).toBeGreaterThan(owner.epoch);
  const ends = () => pod.logs().filter(({ pid: of, code }) => of === owner.pid && code === 1);
  await waitFor('the primary to tell of exit code 1', () => ends().length > 0);
  await waitFor('another worker in its place', () => pod.workers().length === 2, 10_000);
  await session.end();
});
