// S124–S126, S128: the official stdio client through the bridge and a cluster of real pods sees one ordinary server.
import { type Cluster, startCluster } from '../support/cluster.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectStdioClient, type StdioClient } from '../support/stdio-client.js';
import { waitFor } from '../support/wait-for.js';

let backend: RecordingBackend;
let cluster: Cluster;
const clients: StdioClient[] = [];

beforeAll(async () => {
  backend = await startRecordingBackend();
  cluster = await startCluster({ config: { mcpServers: { recorder: { type: 'http', url: backend.url } } } });
});
afterAll(async () => {
  await Promise.all(clients.map((one) => one.close()));
  await cluster?.dispose();
  await backend?.close();
});

const connect = async (url: string) => {
  const one = await connectStdioClient(url);
  clients.push(one);
  return one;
};
const sessions = async () => (await cluster.keys()).filter((key) => key.endsWith(':session'));

test('parallel calls, progress, notifications, DELETE at the end; through four workers, one session', async () => {
  const { client, callText, notifications, errors, close } = await connect(cluster.url('/servers/recorder'));
  expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');

  // The first call is answered last.
  const isFirst = (params: unknown) => (params as { arguments?: { nonce?: string } })?.arguments?.nonce === 'first';
  const hung = backend.hang(({ rpcMethod, params }) => rpcMethod === 'tools/call' && isFirst(params));
  const first = callText('echo', { nonce: 'first', text: 'x' });
  const texts = await Promise.all(Array.from({ length: 60 }, (_, i) => callText('echo', { nonce: `n${i}`, text: 'x' })));
  expect(texts).toEqual(Array.from({ length: 60 }, (_, i) => `n${i}:x`));
  hung.release();
  expect(await first).toBe('first:x');
  expect(backend.issued).toHaveLength(1);
  expect(new Set(backend.calls.map(({ nonce }) => nonce)).size).toBe(61);

  // Step by step: the SDK forgets the progress that it has read together with the result.
  const steps = backend.holdSteps();
  const progress: number[] = [];
  const emitted = client.callTool({ name: 'emit', arguments: { steps: 3 } }, undefined, {
    onprogress: (one) => void progress.push(one.progress),
  });
  for (let step = 1; step <= 3; step += 1) {
    await waitFor(`step ${step}`, () => progress.length === step);
    steps.step();
  }
  await emitted;
  expect(progress).toEqual([1, 2, 3]);

  await waitFor('the stream to the backend', () => backend.listening.size === 1);
  backend.sendToolListChanged();
  await waitFor('the notification', () => notifications.includes('notifications/tools/list_changed'));

  expect(await sessions()).toHaveLength(1);
  await close();
  await waitFor('the session to be gone', async () => (await sessions()).length === 0);
  await waitFor('the DELETE at the backend', () => backend.requestsOf('DELETE').length === 1);
  expect(errors).toEqual([]);
});

test('two bridges are two sessions', async () => {
  const url = cluster.url('/servers/recorder/mcp/');
  const [one, other] = await Promise.all([connect(url), connect(url)]);
  expect(await one.callText('counter')).toBe('1');
  expect(await one.callText('counter')).toBe('2');
  expect(await other.callText('counter')).toBe('1');
  await Promise.all([one.close(), other.close()]);
});
