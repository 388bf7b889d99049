// DESIGN 6, "Streams, GET", and S99: the standalone stream stands at any worker; what the backend says outside a call arrives there.
import type { IncomingMessage } from 'node:http';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { openSession, responseOf, rpc, toolCall } from '../../support/raw-request.js';
import { beginStream } from '../../support/raw-stream.js';
import { type RecordingBackend, startRecordingBackend } from '../../support/recording-backend.js';
import { connectSdkClient } from '../../support/sdk-client.js';
import { cluster, shareCluster } from '../../support/shared-cluster.js';
import { waitFor } from '../../support/wait-for.js';

const PATH = '/servers/standalone/mcp';
const JSON_PATH = '/servers/as-json/mcp';
/** DESIGN 6: a comment every 15 s. */
const COMMENT_WITHIN_MS = 17_000;

let backend: RecordingBackend;
let jsonBackend: RecordingBackend;

shareCluster({
  async begin() {
    backend = await startRecordingBackend();
    jsonBackend = await startRecordingBackend({ json: true });
    return {
      mcpServers: { standalone: { type: 'http', url: backend.url }, 'as-json': { type: 'http', url: jsonBackend.url } },
    };
  },
  end: () => Promise.all([backend.close(), jsonBackend.close()]),
});

/** Collects what a stream says, for as long as it is open. */
function listen(answer: IncomingMessage): { readonly text: () => string; readonly ended: () => boolean } {
  let text = '';
  let ended = false;
  answer.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  answer.on('close', () => {
    ended = true;
  });
  return { text: () => text, ended: () => ended };
}

async function openUsedSession(): Promise<string> {
  const sessionId = await openSession(cluster.balancer.origin, PATH);
  const [first] = cluster.workers();
  await first?.pod.sendTo(first.pid, toolCall(PATH, sessionId, 'counter'));
  return sessionId;
}

test('a stream through each worker hears what the backend sends, and newest wins', async () => {
  const sessionId = await openUsedSession();
  const backendSession = backend.issued.at(-1) as string;
  let previous: ReturnType<typeof listen> | undefined;
  for (const [i, { pid, pod }] of cluster.workers().entries()) {
    const headers = { accept: 'text/event-stream', 'mcp-session-id': sessionId };
    const { answer } = await pod.beginAt(pid, { method: 'GET', path: PATH, headers });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^text\/event-stream/);
    expect(answer.headers['x-accel-buffering']).toBe('no');
    const stream = listen(answer);
    await waitFor('the gateway to listen at the backend', () => backend.listening.has(backendSession));
    const before = previous;
    if (before) await waitFor(`stream ${i - 1} to end when stream ${i} opens`, () => before.ended());

    await backend.sendLog(`through worker ${i}`);
    await waitFor(`the log message on stream ${i}: ${stream.text()}`, () => stream.text().includes(`through worker ${i}`));
    expect(stream.text()).toMatch(/^retry: ?\d+$/m);
    previous = stream;
  }
});

test('comments keep a quiet stream open through a worker that does not own the session, and a call that is open for 10 s', async () => {
  const sessionId = await openUsedSession();
  const owner = await cluster.ownerOf(sessionId);
  const other = cluster.workers().find(({ pid }) => pid !== owner.pid);
  if (other === undefined) throw new Error('one worker only');
  const headers = { accept: 'text/event-stream', 'mcp-session-id': sessionId };
  const held = backend.holdSteps();
  const long = beginStream(other, toolCall(PATH, sessionId, 'emit', { nonce: 'long', steps: 1 }, 'long'));
  const { call, answer } = await other.pod.beginAt(other.pid, { method: 'GET', path: PATH, headers });
  const stream = listen(answer);
  // It would be JSON else: nothing of it is said before its response.
  const asStream = await long;
  await waitFor('a comment in the call', () => /^:/m.test(asStream.text()), COMMENT_WITHIN_MS);
  held.step();
  await waitFor('the result of the call', () => asStream.ended());
  expect(asStream.messages()).toMatchObject([{ id: 'long', result: { content: [{ text: 'long:emitted' }] } }]);
  await waitFor(`a comment: ${stream.text()}`, () => /^:/m.test(stream.text()), COMMENT_WITHIN_MS);
  expect(stream.ended()).toBe(false);
  call.destroy();
});

test('what a backend gives as JSON is JSON at every worker, what says more than its response is a stream', async () => {
  const held = backend.holdSteps();
  for (const _ of cluster.workers()) held.step();
  for (const [path, type] of [
    [JSON_PATH, 'application/json'],
    [PATH, 'text/event-stream'],
  ] as const) {
    const sessionId = await openSession(cluster.balancer.origin, path);
    const params = { name: 'emit', arguments: { nonce: 'typed', steps: 1 }, _meta: { progressToken: 'p' } };
    for (const { pid, pod } of cluster.workers()) {
      const answer = await pod.sendTo(pid, rpc(path, sessionId, 'tools/call', params, 'typed'));
      expect([path, answer.headers['content-type']]).toEqual([path, type]);
      expect(responseOf(answer)).toMatchObject({ id: 'typed', result: { content: [{ text: 'typed:emitted' }] } });
    }
  }
});

test('the SDK client hears tools/list_changed through the balancer', async () => {
  const session = await connectSdkClient(cluster.url(PATH));
  let heard = 0;
  session.client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
    heard += 1;
  });
  await session.callText('counter');
  const backendSession = backend.issued.at(-1) as string;
  await waitFor('the gateway to listen at the backend', () => backend.listening.has(backendSession));
  backend.sendToolListChanged();
  await waitFor('tools/list_changed', () => heard > 0);
  await session.end();
});
