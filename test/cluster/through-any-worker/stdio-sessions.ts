// S1 for stdio: the backend session is a child process of the one worker that owns the session.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from '../../support/processes.js';
import { connectSdkClient } from '../../support/sdk-client.js';
import { cluster, shareCluster } from '../../support/shared-cluster.js';
import { waitFor } from '../../support/wait-for.js';

const CALLS = 200;
const dir = mkdtempSync(join(tmpdir(), 'berth-record-'));
const file = join(dir, 'record');

interface Entry {
  readonly kind: 'initialize' | 'call';
  readonly nonce?: string;
  readonly pid: number;
}

const recorded = (): Entry[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

shareCluster({
  async begin() {
    const args = [join(__dirname, '../../support/fixtures/stdio-backend.mjs')];
    return { mcpServers: { child: { command: process.execPath, args, env: { RECORD_FILE: file } } } };
  },
  end: async () => rmSync(dir, { recursive: true, force: true }),
});

test('200 calls through four workers reach one child process, each once, and DELETE ends it', async () => {
  const session = await connectSdkClient(cluster.url('/servers/child/mcp'));
  expect((await session.client.listTools()).tools.map(({ name }) => name)).toContain('counter');
  for (let call = 1; call <= CALLS; call += 1) {
    expect(await session.callText('counter', { nonce: `n-${call}` })).toBe(String(call));
  }

  const entries = recorded();
  const calls = entries.filter(({ kind }) => kind === 'call');
  expect(new Set(calls.map(({ nonce }) => nonce)).size).toBe(CALLS);
  expect(calls).toHaveLength(CALLS);
  const child = calls[0]?.pid as number;
  expect(new Set(calls.map(({ pid }) => pid))).toEqual(new Set([child]));
  expect(entries.filter(({ kind, pid }) => kind === 'initialize' && pid === child)).toHaveLength(1);
  expect(isAlive(child)).toBe(true);

  await session.end();
  await waitFor(`child ${child} to end with its session`, () => !isAlive(child));
});

test('two sessions never share a child', async () => {
  const [one, other] = await Promise.all([
    connectSdkClient(cluster.url('/servers/child/mcp')),
    connectSdkClient(cluster.url('/servers/child/mcp')),
  ]);
  expect(await one.callText('counter')).toBe('1');
  expect(await one.callText('counter')).toBe('2');
  expect(await other.callText('counter')).toBe('1');
  const [first, second] = await Promise.all([one.callText('whoami'), other.callText('whoami')]);
  expect(JSON.parse(first).pid).not.toBe(JSON.parse(second).pid);
  await Promise.all([one.end(), other.end()]);
});
