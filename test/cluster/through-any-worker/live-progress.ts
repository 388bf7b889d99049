// S35: each event of a call passes the hop as it happens. The backend takes its next step only after the client has seen the one
// before, so an answer that is collected anywhere on the way never comes.
import { eventsOf, openSession, toolCall } from '../../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../../support/recording-backend.js';
import { connectSdkClient } from '../../support/sdk-client.js';
import { cluster, shareCluster } from '../../support/shared-cluster.js';
import { waitFor } from '../../support/wait-for.js';

const PATH = '/servers/progress/mcp';
const STEPS = 5;

let backend: RecordingBackend;

shareCluster({
  async begin() {
    backend = await startRecordingBackend();
    return { mcpServers: { progress: { type: 'http', url: backend.url } } };
  },
  end: () => backend.close(),
});

test('a raw client of every worker gets each progress event before the next one is made', async () => {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  for (const { pid, pod } of cluster.workers()) {
    const held = backend.holdSteps();
    const call = toolCall(PATH, sessionId, 'emit', { nonce: `by-${pid}`, steps: STEPS }, 'live');
    const message = JSON.parse(call.body as string);
    message.params._meta = { progressToken: 'token-1' };
    const { answer } = await pod.beginAt(pid, { ...call, body: JSON.stringify(message) });
    expect(answer.headers['content-type']).toMatch(/^text\/event-stream/);

    let text = '';
    answer.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    const closed = new Promise<void>((resolve) => answer.once('end', () => resolve()));
    const messages = () => eventsOf(text).filter(({ data }) => data !== '');
    for (let step = 1; step <= STEPS; step += 1) {
      await waitFor(
        () => `progress ${step} through worker ${pid}; so far: ${text}`,
        () => messages().length === step,
      );
      expect(JSON.parse(messages()[step - 1]?.data ?? '')).toEqual({
        jsonrpc: '2.0',
        method: 'notifications/progress',
        params: { progressToken: 'token-1', progress: step, total: STEPS, message: `by-${pid}` },
      });
      held.step();
    }
    await closed;
    expect(JSON.parse(messages().at(-1)?.data ?? '')).toMatchObject({
      id: 'live',
      result: { content: [{ text: `by-${pid}:emitted` }] },
    });
  }
});

test('the SDK client sees its progress while the call runs', async () => {
  const session = await connectSdkClient(cluster.url(PATH));
  const held = backend.holdSteps();
  const seen: number[] = [];
  const result = session.client.callTool({ name: 'emit', arguments: { nonce: 'sdk', steps: STEPS } }, undefined, {
    onprogress: ({ progress }) => {
      seen.push(progress);
      held.step();
    },
  });
  expect((await result).content).toEqual([{ type: 'text', text: 'sdk:emitted' }]);
  expect(seen).toEqual([1, 2, 3, 4, 5]);
  await session.end();
});

test('a slow call on one session does not delay a quick one on another over the same hop', async () => {
  const [slow, quick] = await Promise.all([connectSdkClient(cluster.url(PATH)), connectSdkClient(cluster.url(PATH))]);
  const held = backend.holdSteps();
  const running = slow.callText('emit', { nonce: 'slow', steps: 1 });
  await waitFor('the slow call to begin', () => backend.calls.some(({ nonce }) => nonce === 'slow'));
  for (let i = 0; i < 40; i += 1) expect(await quick.callText('echo', { nonce: `q${i}`, text: 'x' })).toBe(`q${i}:x`);
  held.step();
  expect(await running).toBe('slow:emitted');
  await Promise.all([slow.end(), quick.end()]);
});
