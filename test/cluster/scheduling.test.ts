// Each way of giving connections to workers serves, goes on while a worker is gone, and ends in order.
import { reusePortObstacle } from '../../src/config/reuse-port.js';
import { whenAllServe } from '../support/cluster.js';
import { launchPod, type Pod, startPod } from '../support/pod.js';
import { sendRaw } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

const obstacle = reusePortObstacle();
let backend: RecordingBackend;
let pod: Pod | undefined;

beforeAll(async () => {
  backend = await startRecordingBackend();
});
afterAll(() => backend.close());
afterEach(async () => {
  await pod?.dispose();
  pod = undefined;
});

const configFor = (scheduling: string) => ({
  scheduling,
  mcpServers: { recorder: { type: 'http', url: backend.url } },
});

/** Over a connection of its own: a kept one leads to the worker that it led to before. */
const isAlive = async (origin: string) => (await sendRaw(origin, { method: 'GET', path: '/livez' })).status === 200;

const whenBothServe = (one: Pod, gone?: number) => whenAllServe({ pods: [one] }, gone);

async function useSession(one: Pod): Promise<void> {
  const session = await connectSdkClient(one.url('/servers/recorder/mcp'));
  expect(await session.callText('counter')).toBe('1');
  await session.end();
}

test('os: whichever worker is awake serves, a killed one is replaced, a port in use is told', async () => {
  pod = await startPod({ config: configFor('os') });
  await whenBothServe(pod);
  await useSession(pod);
  for (const worker of pod.workers()) {
    process.kill(worker, 'SIGSTOP');
    try {
      for (let i = 0; i < 5; i += 1) expect(await isAlive(pod.origin)).toBe(true);
    } finally {
      process.kill(worker, 'SIGCONT');
    }
  }
  const killed = pod.workers()[0] as number;
  process.kill(killed, 'SIGKILL');
  for (let i = 0; i < 20; i += 1) expect(await isAlive(pod.origin)).toBe(true);
  await whenBothServe(pod, killed);
  await useSession(pod);
  await expectPortInUse(pod, 'os');
  expect(await pod.stop()).toEqual({ code: 0, signal: null });
});

/** A second gateway on the same port would get a share of the clients of the first. */
async function expectPortInUse(one: Pod, scheduling: string): Promise<void> {
  const second = await launchPod({ config: { ...configFor(scheduling), listen: `${one.host}:${one.port}` } });
  try {
    expect(await second.exited).toEqual({ code: 69, signal: null });
    expect(JSON.stringify(second.logs()) + second.stderr()).toContain(`port ${one.port} on ${one.host} is in use`);
  } finally {
    await second.dispose();
  }
}

if (obstacle === undefined) {
  test('reuse-port: each worker serves its own connections, a killed one is replaced, a port in use is told', async () => {
    pod = await startPod({ config: configFor('reuse-port') });
    await whenBothServe(pod);
    await useSession(pod);
    for (const worker of pod.workers()) {
      expect((await pod.sendTo(worker, { method: 'GET', path: '/livez', headers: {} })).status).toBe(200);
    }
    const killed = pod.workers()[0] as number;
    process.kill(killed, 'SIGKILL');
    await whenBothServe(pod, killed);
    for (const worker of pod.workers()) {
      expect((await pod.sendTo(worker, { method: 'GET', path: '/livez', headers: {} })).status).toBe(200);
    }
    await useSession(pod);
    await expectPortInUse(pod, 'reuse-port');
    expect(await pod.stop()).toEqual({ code: 0, signal: null });
  });

  test('reuse-port: any port is the same one in all workers', async () => {
    pod = await startPod({ config: { ...configFor('reuse-port'), listen: '127.0.0.1:0' } });
    await whenBothServe(pod);
    const ready = await waitFor('the log to name the port', () => pod?.logs().find((line) => line.msg === 'ready'));
    const [url] = ready.urls as string[];
    for (let i = 0; i < 20; i += 1) expect(await isAlive(new URL(url as string).origin)).toBe(true);
  });
} else {
  test('reuse-port is refused where it cannot be had, with what can', async () => {
    const refused = await launchPod({ config: configFor('reuse-port') });
    try {
      expect(await refused.exited).toEqual({ code: 78, signal: null });
      const text = JSON.stringify(refused.logs()) + refused.stderr();
      expect(text).toContain(obstacle as string);
      expect(text).toContain('Set it to round-robin or os');
    } finally {
      await refused.dispose();
    }
  });
}
