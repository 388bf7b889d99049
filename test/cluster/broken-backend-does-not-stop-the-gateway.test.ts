// A backend that is down, or cannot start, hides its own tools and nothing else: never the start of the gateway, nor its neighbours.
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Pod, startPod } from '../support/pod.js';
import { freePort } from '../support/ports.js';
import { openSession, responseOf, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';

let backend: RecordingBackend;
let pod: Pod;
const sockets = new Set<Socket>();
const silent = createServer((socket) => void sockets.add(socket));

beforeAll(async () => {
  backend = await startRecordingBackend();
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const fixture = join(__dirname, '../support/fixtures/stdio-backend.mjs');
  pod = await startPod({
    config: {
      mcpServers: {
        recorder: { type: 'http', url: backend.url },
        down: { type: 'http', url: `http://127.0.0.1:${await freePort()}/mcp` },
        missing: { command: 'no-such-command-anywhere' },
        failing: { command: process.execPath, args: [fixture, '--fail'] },
        silent: { type: 'http', url: `http://127.0.0.1:${port}/mcp`, timeout: '500ms' },
        // Long enough to be opened on a busy machine.
        impatient: { type: 'http', url: backend.url, timeout: '2s' },
      },
    },
  });
});
afterAll(async () => {
  await pod?.dispose();
  await backend?.close();
  for (const socket of sockets) socket.destroy();
  await new Promise<void>((resolve) => silent.close(() => resolve()));
});

test('the gateway is ready, and the good backend answers', async () => {
  const sessionId = await openSession(pod.origin, '/servers/recorder/mcp');
  const answer = await sendRaw(pod.origin, toolCall('/servers/recorder/mcp', sessionId, 'echo', { nonce: 'n', text: 'x' }));
  expect(responseOf(answer)).toMatchObject({ id: 1, result: { content: [{ text: 'n:x' }] } });
});

// Before anything else has asked it: known to be down, it would be asked no more.
test('a backend that accepts and says nothing is unavailable: the call did not run', async () => {
  const path = '/servers/silent/mcp';
  const sessionId = await openSession(pod.origin, path);
  const answer = await sendRaw(pod.origin, toolCall(path, sessionId, 'echo', {}, 'mine'));
  expect(responseOf(answer)).toMatchObject({
    id: 'mine',
    error: { code: -32010, data: { backend: 'silent', reason: expect.stringMatching(/time/) } },
  });
});

test('all backends together list the tools of those that live', async () => {
  const sessionId = await openSession(pod.origin, '/mcp');
  const { result } = responseOf(await sendRaw(pod.origin, rpc('/mcp', sessionId, 'tools/list'))) as unknown as {
    result: { tools: Array<{ name: string }> };
  };
  expect(result.tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['recorder__echo', 'impatient__echo']));
});

test.each(['down', 'missing', 'failing'])('a call to the broken backend %s is a JSON-RPC error that names it', async (name) => {
  const path = `/servers/${name}/mcp`;
  const answer = await sendRaw(
    pod.origin,
    rpc(path, undefined, 'initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'raw', version: '1' },
    }),
  );
  expect(answer.status).toBe(200);
  const sessionId = answer.headers['mcp-session-id'];
  // Whether initialize itself fails or the first use does is the gateway's choice; that it is told, and how, is not.
  const told = sessionId === undefined ? answer : await sendRaw(pod.origin, toolCall(path, sessionId, 'echo', {}, 'mine'));
  expect(told.status).toBe(200);
  expect(responseOf(told)).toMatchObject({ error: { code: -32010, data: { backend: name } } });
  expect(told.body).not.toMatch(/\bat .*\.js:\d+/);
});

test('a call that the backend does not answer in time is a time-out', async () => {
  const hung = backend.hang(({ rpcMethod, params }) => rpcMethod === 'tools/call' && JSON.stringify(params).includes('never'));
  try {
    const path = '/servers/impatient/mcp';
    const sessionId = await openSession(pod.origin, path);
    const answer = await sendRaw(pod.origin, toolCall(path, sessionId, 'echo', { nonce: 'never' }, 'mine'));
    expect(responseOf(answer)).toMatchObject({ id: 'mine', error: { code: -32011, data: { backend: 'impatient' } } });
    const next = await sendRaw(pod.origin, toolCall(path, sessionId, 'echo', { nonce: 'next', text: 'x' }));
    expect(responseOf(next)).toMatchObject({ result: { content: [{ text: 'next:x' }] } });
  } finally {
    hung.release();
  }
});
