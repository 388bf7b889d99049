// S11, S116: kill -9 of a worker that has stdio children. Its processes are gone before anybody goes on with its sessions, and what
// they knew is never reported as still there.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, startCluster, whenAllServe } from '../support/cluster.js';
import { isAlive, killNow } from '../support/processes.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

const dir = mkdtempSync(join(tmpdir(), 'berth-record-'));
const file = join(dir, 'record');
const args = [join(__dirname, '../support/fixtures/stdio-backend.mjs')];
const local = { command: process.execPath, args, env: { RECORD_FILE: file } };

const callsOf = (nonce: string) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && JSON.parse(line).nonce === nonce);

let backend: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend();
  cluster = await startCluster({
    config: {
      mcpServers: {
        strict: local,
        lenient: { ...local, onStateLoss: 'reinitialize' },
        recorder: { type: 'http', url: backend.url },
      },
      servers: { both: { backends: ['strict', 'recorder'], prefix: 'always' } },
    },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
  rmSync(dir, { recursive: true, force: true });
});

beforeEach(() => whenAllServe(cluster));

async function killOwner(session: SdkClient): Promise<void> {
  const { pid } = await cluster.ownerOf(session.sessionId);
  killNow(pid);
  await waitFor(`worker ${pid} to be dead`, () => !isAlive(pid));
}

const childOf = async (session: SdkClient) => JSON.parse(await session.callText('whoami')).pid as number;

test('fail: the session ends with 404 and its child is dead', async () => {
  const session = await connectSdkClient(cluster.url('/servers/strict/mcp'));
  const child = await childOf(session);
  expect(await session.callText('counter', { nonce: 'f1' })).toBe('1');
  await killOwner(session);
  await expect(session.callText('counter', { nonce: 'f2' })).rejects.toMatchObject({ code: 404 });
  await waitFor(`child ${child} to be dead`, () => !isAlive(child));
  expect(callsOf('f2')).toHaveLength(0);
  await session.close();
});

test('reinitialize: the next call starts another child, and the state is anew', async () => {
  const session = await connectSdkClient(cluster.url('/servers/lenient/mcp'));
  const child = await childOf(session);
  expect(await session.callText('counter', { nonce: 'r1' })).toBe('1');
  expect(await session.callText('counter', { nonce: 'r2' })).toBe('2');
  await killOwner(session);
  expect(await session.callText('counter', { nonce: 'r3' })).toBe('1');
  expect(isAlive(child)).toBe(false);
  expect(await childOf(session)).not.toBe(child);
  expect(callsOf('r3')).toHaveLength(1);
  await session.end();
});

test('a session that had not opened that backend goes on', async () => {
  const session = await connectSdkClient(cluster.url('/servers/recorder/mcp'));
  expect(await session.callText('counter', { nonce: 'h1' })).toBe('1');
  await killOwner(session);
  expect(await session.callText('counter', { nonce: 'h2' })).toBe('2');
  await session.end();
});
