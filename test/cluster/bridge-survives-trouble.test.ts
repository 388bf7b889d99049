// S126: killed workers, a restarted gateway, a gateway that forgot everything. The client behind the bridge notices nothing, and no
// call runs twice.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Pod, startPod } from '../support/pod.js';
import { CLOSED_BY_PEER, isAlive, tcpConnectionsOf } from '../support/processes.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectStdioClient, type StdioClient } from '../support/stdio-client.js';
import { waitFor } from '../support/wait-for.js';

let backend: RecordingBackend;
let pod: Pod;
let bridged: StdioClient;

const config = () => ({ mcpServers: { recorder: { type: 'http', url: backend.url } } });

beforeEach(async () => {
  backend = await startRecordingBackend();
  pod = await startPod({ config: config() });
  bridged = await connectStdioClient(pod.url('/servers/recorder/mcp'));
});
afterEach(async () => {
  await bridged?.close();
  await pod?.dispose();
  await backend?.close();
});

const nonces = () => backend.calls.map(({ nonce }) => nonce);

test.each(['SIGTERM', 'SIGKILL'] as const)(
  '%s and a new start: the session goes on, a call made meanwhile waits',
  async (signal) => {
    expect(await bridged.callText('counter', { nonce: 'before' })).toBe('1');
    await pod.stop(signal);
    // Race: a worker that outlives its primary by a moment may still take a call, whose outcome is unknown then.
    await pod.dispose({ keepDir: true });
    // Nor is known what became of a call that leaves on a connection whose end the bridge has not read yet.
    await waitFor('the bridge to hear of it', () => tcpConnectionsOf(bridged.pid()) === 0);
    const meanwhile = bridged.callText('counter', { nonce: 'meanwhile' });
    pod = await startPod({ config: config(), dir: pod.dir });
    expect(await meanwhile).toBe('2');
    expect(await bridged.callText('counter', { nonce: 'after' })).toBe('3');
    expect(nonces()).toEqual(['before', 'meanwhile', 'after']);
    expect(backend.issued).toHaveLength(1);
    expect(bridged.errors).toEqual([]);
  },
);

test('a gateway that comes back without its data: the session is made anew behind the back of the client', async () => {
  expect(await bridged.callText('counter', { nonce: 'before' })).toBe('1');
  await pod.stop('SIGKILL');
  await pod.dispose({ keepDir: true });
  await waitFor('the bridge to hear of it', () => tcpConnectionsOf(bridged.pid()) === 0);
  rmSync(join(pod.dir, 'data'), { recursive: true });
  pod = await startPod({ config: config(), dir: pod.dir });
  const texts = await Promise.all(Array.from({ length: 10 }, (_, i) => bridged.callText('echo', { nonce: `n${i}`, text: 'x' })));
  expect(texts).toEqual(Array.from({ length: 10 }, (_, i) => `n${i}:x`));
  expect(new Set(nonces()).size).toBe(11);
  expect(nonces()).toHaveLength(11);
  expect(backend.issued).toHaveLength(2);
  expect(bridged.stderr()).toContain('initializing anew');
  expect(bridged.errors).toEqual([]);
  await waitFor('the stream of the new session', () => backend.listening.has(backend.issued[1] as string), 10_000);
});

test('kill -9 of each worker in turn, the owner among them: calls between go on, calls in flight get one answer', async () => {
  expect(await bridged.callText('counter', { nonce: 'first' })).toBe('1');
  let count = 1;
  for (const worker of pod.workers()) {
    const running = bridged.callText('slow', { nonce: `running-${worker}`, ms: 1000 }).catch((error: { code?: number }) => error);
    await waitFor('the call to run', () => nonces().includes(`running-${worker}`));
    process.kill(worker, 'SIGKILL');
    await waitFor(`worker ${worker} to be dead`, () => !isAlive(worker));
    const outcome = await running;
    if (typeof outcome !== 'string') expect(outcome.code).toBe(-32012);
    // What became of a call that leaves on a connection of a dead worker is not known, as above.
    await waitFor('the bridge to read the end of its connections', () => tcpConnectionsOf(bridged.pid(), [CLOSED_BY_PEER]) === 0);
    count += 1;
    expect(await bridged.callText('counter', { nonce: `after-${worker}` })).toBe(String(count));
    await waitFor('two workers', () => pod.workers().filter((one) => one !== worker).length === 2, 20_000);
  }
  expect(nonces()).toHaveLength(new Set(nonces()).size);
  expect(backend.issued).toHaveLength(1);
  expect(bridged.errors).toEqual([]);
});
