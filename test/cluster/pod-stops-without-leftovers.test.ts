// A pod as `npm start` runs it: embedded Redis, two workers, stdio children. However it ends, nothing of it stays.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Pod, startPod } from '../support/pod.js';
import { commandOf, isAlive } from '../support/processes.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

let backend: RecordingBackend;
let pod: Pod;

const fixture = join(__dirname, '../support/fixtures/stdio-backend.mjs');
const rawServer = join(__dirname, '../support/fixtures/raw-stdio-server.cjs');
const config = () => ({
  mcpServers: {
    recorder: { type: 'http', url: backend.url },
    local: { command: process.execPath, args: [fixture] },
  },
});

beforeEach(async () => {
  backend = await startRecordingBackend();
  pod = await startPod({ config: config() });
});
afterEach(async () => {
  await pod?.dispose();
  await backend?.close();
});

/** A session with a stdio child, so that there is something to leave behind. */
async function useStdio(): Promise<void> {
  const session = await connectSdkClient(pod.url('/servers/local/mcp'));
  await session.callText('counter');
  await session.close();
  const commands = pod.processes().map(commandOf);
  expect(commands.filter((command) => command.includes('stdio-backend.mjs')).length).toBeGreaterThan(0);
  expect(commands.some((command) => /redis-server|valkey-server/.test(command))).toBe(true);
}

test('SIGTERM ends everything with exit code 0', async () => {
  await useStdio();
  expect(await pod.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(pod.processes()).toEqual([]);
  expect(readdirSync(join(pod.dir, 't'))).toEqual([]);
});

test('SIGINT ends everything with exit code 0', async () => {
  expect(await pod.stop('SIGINT')).toEqual({ code: 0, signal: null });
  expect(pod.processes()).toEqual([]);
});

test('a call in flight ends with its answer before a SIGTERM ends the pod', async () => {
  const held = backend.holdSteps();
  const session = await connectSdkClient(pod.url('/servers/recorder/mcp'));
  const call = session.callText('emit', { nonce: 'last', steps: 1 });
  await waitFor('the call to begin', () => backend.calls.length === 1);
  pod.signal('SIGTERM');
  await waitFor('the pod to say that it is not ready', async () => {
    const ready = await fetch(pod.adminUrl('/readyz')).catch(() => undefined);
    return ready === undefined || ready.status === 503;
  });
  held.step();
  expect(await call).toBe('last:emitted');
  expect(await pod.exited).toEqual({ code: 0, signal: null });
  await session.close();
});

test('a second signal forces the end with exit code 1', async () => {
  const hung = backend.hang(({ rpcMethod }) => rpcMethod === 'tools/call');
  const session = await connectSdkClient(pod.url('/servers/recorder/mcp'));
  const call = session.callText('echo').then(
    () => 'answered',
    () => 'failed',
  );
  await waitFor('the call to reach the backend', () => backend.requestsOf('POST', 'tools/call').length === 1);
  pod.signal('SIGTERM');
  await waitFor('the drain to begin', async () => {
    const ready = await fetch(pod.adminUrl('/readyz')).catch(() => undefined);
    return ready === undefined || ready.status === 503;
  });
  expect(await pod.stop('SIGTERM', 3000)).toEqual({ code: 1, signal: null });
  hung.release();
  expect(await call).toBe('failed');
  await session.close();
});

test('kill -9 of the primary leaves no process behind', async () => {
  await useStdio();
  expect((await pod.stop('SIGKILL')).signal).toBe('SIGKILL');
  await waitFor(
    () => `no process of the pod to live: ${pod.processes().map((pid) => `${pid} ${commandOf(pid)}`)}`,
    () => pod.processes().length === 0,
  );
});

test('kill -9 of a worker ends its stdio children, and another worker takes its place', async () => {
  await useStdio();
  const before = pod.workers();
  for (const pid of before) process.kill(pid, 'SIGKILL');
  await waitFor(
    () => `two new workers and no stdio child; there are ${pod.workers()}`,
    () =>
      pod.workers().length === 2 &&
      !pod.workers().some((pid) => before.includes(pid)) &&
      !pod.processes().some((pid) => commandOf(pid).includes('stdio-backend.mjs')),
    10_000,
  );
  await waitFor('the pod to be ready again', async () => (await fetch(pod.adminUrl('/readyz'))).status === 200, 10_000);
  const session = await connectSdkClient(pod.url('/servers/local/mcp'));
  expect(await session.callText('counter')).toBe('1');
  await session.close();
});

test('kill -9 of primary and workers at once: the next start ends what their children left', async () => {
  await pod.dispose();
  // Survives the end of its stdin, as a server does that holds on to other things; a wrapper started it, as npx does.
  const script = `${process.execPath} ${rawServer} --ignore-sigterm --grandchild; :`;
  const stubborn = { mcpServers: { local: { command: 'sh', args: ['-c', script] } } };
  pod = await startPod({ config: stubborn });
  const session = await connectSdkClient(pod.url('/servers/local/mcp'));
  // It lists nothing; to be asked starts it.
  await session.client.listTools().catch(() => undefined);
  const gateway = [pod.pid, ...pod.workers()];
  const isOurs = (pid: number) => !gateway.includes(pid) && !/redis-server|valkey-server/.test(commandOf(pid));
  const children = pod.processes().filter(isOurs);
  expect(children.map(commandOf).join()).toMatch(/sh -c.*setInterval/);

  // Stopped first, so that none of them sees another one die.
  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of gateway) process.kill(pid, signal);
  await waitFor('the gateway to be dead', () => !gateway.some(isAlive));
  expect(children.filter(isAlive)).toEqual(children);
  pod = await startPod({ config: stubborn, dir: pod.dir });
  expect(children.filter(isAlive)).toEqual([]);
  expect(pod.logs().some(({ msg }) => String(msg).includes('had outlived a killed gateway'))).toBe(true);
  await session.close();
});

test.each(['SIGTERM', 'SIGKILL'] as const)('after %s and a new start, sessions of HTTP backends go on', async (signal) => {
  const first = await connectSdkClient(pod.url('/servers/recorder/mcp'));
  expect(await first.callText('counter', { nonce: 'before' })).toBe('1');
  await pod.stop(signal);
  await pod.dispose({ keepDir: true });

  pod = await startPod({ config: config(), dir: pod.dir });
  const answer = await fetch(pod.url('/servers/recorder/mcp'), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      'mcp-session-id': first.sessionId,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 9,
      method: 'tools/call',
      params: { name: 'counter', arguments: { nonce: 'after' } },
    }),
  });
  expect(await answer.json()).toMatchObject({ id: 9, result: { content: [{ text: '2' }] } });
  expect(backend.issued).toHaveLength(1);
  await first.close();
});
