// S129: backends are added, changed and removed under living sessions. The sessions go on, their clients hear that lists have changed,
// and what they had open at a former backend is ended where it was opened.
import { join } from 'node:path';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { isAlive, killNow } from '../support/processes.js';
import { type Pod, startPod, tail } from '../support/pod.js';
import { JSON_HEADERS } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { reload, untilAllWork } from '../support/reload.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

const STDIO_BACKEND = join(__dirname, '../support/fixtures/stdio-backend.mjs');

jest.setTimeout(180_000);

let pod: Pod;
let first: RecordingBackend;
let second: RecordingBackend;
let third: RecordingBackend;
const sessions: SdkClient[] = [];

beforeAll(async () => {
  [first, second, third] = await Promise.all([startRecordingBackend(), startRecordingBackend(), startRecordingBackend()]);
});
afterAll(async () => {
  for (const backend of [first, second, third]) await backend?.close();
});
beforeEach(async () => {
  pod = await startPod({
    config: {
      mcpServers: { one: { type: 'http', url: first.url } },
      servers: {
        support: { backends: ['one'], prefix: 'always' },
        gone: { backends: ['one'] },
      },
    },
  });
  await untilAllWork(pod);
});
afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
  await pod?.dispose();
});

/** A client that listens; counts how often it was told that its tools changed. */
async function listen(path: string): Promise<SdkClient & { told: number }> {
  const before = await openStreams();
  const session = await connectSdkClient(pod.url(path));
  const listening = Object.assign(session, { told: 0 });
  session.client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
    listening.told += 1;
  });
  sessions.push(session);
  await waitFor('the stream of the client to open', async () => (await openStreams()) > before, 10_000);
  return listening;
}

async function openStreams(): Promise<number> {
  const metrics = await (await fetch(pod.adminUrl('/metrics'))).text();
  return [...metrics.matchAll(/^berth_streams\{.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
}

const namesOf = async (session: SdkClient) => (await session.client.listTools()).tools.map(({ name }) => name);
const deletesOf = (backend: RecordingBackend) => backend.requestsOf('DELETE').map(({ sessionId }) => sessionId);
const untilTold = (session: { told: number }, before: number) =>
  waitFor(
    () => `the client to hear of changed tools:\n${tail(pod, 30)}`,
    () => session.told > before,
    10_000,
  );

test('a backend is added, gets another URL and is removed; the session lives', async () => {
  const session = await listen('/mcp');
  const { sessionId } = session;
  expect(await namesOf(session)).toContain('echo');
  expect(await session.callText('echo', { nonce: 'a', text: 'x' })).toBe('a:x');

  // Added: its tools come, under names that tell the two apart.
  let told = session.told;
  const added = await reload(pod, (config) => {
    config.mcpServers.two = { type: 'http', url: second.url.replace('//', '//user:secret@'), headers: { 'x-key': 'secret' } };
  });
  expect(added).toMatchObject({ backends: { added: ['two'], changed: [], removed: [] }, options: ['mcpServers'] });
  await untilTold(session, told);
  expect(await namesOf(session)).toContain('two__echo');
  expect(await session.callText('two__echo', { nonce: 'b', text: 'x' })).toBe('b:x');
  expect(await session.callText('echo', { nonce: 'c', text: 'x' })).toBe('c:x');
  const [opened] = second.issued.slice(-1);
  // S139: what was added is told, its secrets are not.
  const line = pod.logs().find(({ msg }) => msg === 'backend added');
  expect(line?.url).toContain(new URL(second.url).host);
  expect(JSON.stringify(pod.logs())).not.toContain('secret');

  // Another URL: the old backend session ends where it was opened, the next call opens one at the new place.
  told = session.told;
  await reload(pod, (config) => {
    config.mcpServers.two = { type: 'http', url: third.url };
  });
  await untilTold(session, told);
  await waitFor(
    () => `the DELETE of ${opened} at the old URL:\n${tail(pod)}`,
    () => deletesOf(second).includes(opened),
  );
  expect(second.requestsOf('DELETE').at(-1)?.headers.authorization).toMatch(/^Basic /);
  expect(await session.callText('two__echo', { nonce: 'd', text: 'x' })).toBe('d:x');
  expect(third.calls.map(({ nonce }) => nonce)).toContain('d');
  expect(second.calls.map(({ nonce }) => nonce)).not.toContain('d');
  const [reopened] = third.issued.slice(-1);

  // Removed: its tools go, and so does what was open there.
  told = session.told;
  await reload(pod, (config) => {
    delete config.mcpServers.two;
  });
  await untilTold(session, told);
  await waitFor(
    () => `the DELETE of ${reopened}:\n${tail(pod)}`,
    () => deletesOf(third).includes(reopened),
  );
  expect(await namesOf(session)).not.toContain('two__echo');
  await expect(session.callText('two__echo', { nonce: 'e' })).rejects.toThrow(/-32602/);
  expect(await session.callText('one__echo', { nonce: 'f', text: 'x' })).toBe('f:x');
  expect(session.sessionId).toBe(sessionId);

  // The end of the session ends what is left, and nothing twice.
  const [kept] = first.issued.slice(-1);
  await session.end();
  await waitFor('the DELETE of the backend that stayed', () => deletesOf(first).includes(kept));
  expect(deletesOf(second).filter((id) => id === opened)).toHaveLength(1);
  expect(deletesOf(third).filter((id) => id === reopened)).toHaveLength(1);
});

test('other headers and times: the backend session goes on, under the new ones', async () => {
  const session = await listen('/servers/one/mcp');
  await session.callText('counter', { nonce: 'a' });
  const [opened] = first.issued.slice(-1);
  await reload(pod, (config) => {
    config.mcpServers.one = { type: 'http', url: first.url, headers: { authorization: 'Bearer new' }, timeout: '30s' };
  });
  expect(await session.callText('counter', { nonce: 'b' })).toBe('2');
  expect(first.issued.at(-1)).toBe(opened);
  expect(first.requestsOf('POST', 'tools/call').at(-1)?.headers.authorization).toBe('Bearer new');
  await session.end();
  await waitFor('the DELETE with the new headers', () => deletesOf(first).includes(opened));
  expect(first.requestsOf('DELETE').at(-1)?.headers.authorization).toBe('Bearer new');
});

test('no call fails over a reload, not even one of a backend that is removed meanwhile', async () => {
  const session = await listen('/mcp');
  const other = await listen('/servers/support/mcp');
  await session.callText('echo', { nonce: 'open' });
  const [opened] = first.issued.slice(-1);
  const held = first.hang(({ rpcMethod, params }) => rpcMethod === 'tools/call' && JSON.stringify(params).includes('slow-one'));
  const inFlight = session.callText('echo', { nonce: 'slow-one', text: 'x' });
  await waitFor('the slow call to arrive', () => JSON.stringify(first.requests.map(({ params }) => params)).includes('slow-one'));

  let running = true;
  const texts: string[] = [];
  const load = (async () => {
    for (let i = 0; running; i++) texts.push(await other.callText('one__echo', { nonce: `load-${i}`, text: 'x' }));
  })();
  // Of the server whose backends come and go: a name means what it meant at first, and lists are whole.
  const lists = (async () => {
    for (let i = 0; running; i++) {
      expect(await session.callText('echo', { nonce: `all-${i}`, text: 'x' })).toBe(`all-${i}:x`);
      expect((await namesOf(session)).filter((name) => name.endsWith('whoami')).length).toBeGreaterThan(0);
    }
  })();
  for (let i = 0; i < 5; i++) {
    await reload(pod, (config) => {
      if (i % 2 === 0) config.mcpServers.two = { type: 'http', url: second.url };
      else delete config.mcpServers.two;
    });
  }
  // The very backend: what began there ends there, what comes goes to the new place.
  await reload(pod, (config) => {
    config.mcpServers.one = { type: 'http', url: third.url };
  });
  const before = texts.length;
  await waitFor('calls to go on at the new place', () => texts.length > before + 3, 10_000);
  running = false;
  await Promise.all([load, lists]);
  expect(texts).toEqual(texts.map((_, i) => `load-${i}:x`));
  expect(third.calls.some(({ nonce }) => nonce.startsWith('load-'))).toBe(true);
  // Its DELETE waits for it.
  expect(deletesOf(first)).not.toContain(opened);
  held.release();
  expect(await inFlight).toBe('slow-one:x');
  await waitFor(
    () => `the DELETE after the last call:\n${tail(pod)}`,
    () => deletesOf(first).includes(opened),
  );
});

test('another command: the session goes on with a new process', async () => {
  const stdio = (env: Record<string, string>) => ({ command: process.execPath, args: [STDIO_BACKEND, '--token', 'secret'], env });
  await reload(pod, (config) => {
    config.mcpServers.local = stdio({});
  });
  const line = pod.logs().find(({ msg }) => msg === 'backend added');
  expect(line?.command).toEqual([process.execPath, STDIO_BACKEND, '--token', '***']);
  const session = await listen('/servers/local/mcp');
  expect(await session.callText('counter')).toBe('1');
  const before = JSON.parse(await session.callText('whoami')).pid;
  // Other times: the process stays, and so does its state.
  await reload(pod, (config) => {
    config.mcpServers.local = { ...stdio({}), timeout: '30s' };
  });
  expect(await session.callText('counter')).toBe('2');
  await reload(pod, (config) => {
    config.mcpServers.local = stdio({ OTHER: '1' });
  });
  expect(await session.callText('counter')).toBe('1');
  expect(JSON.parse(await session.callText('whoami')).pid).not.toBe(before);
  await waitFor(`process ${before} to end`, () => !isAlive(before), 15_000);
});

test('a virtual server that is removed ends its sessions, and theirs alone', async () => {
  const session = await listen('/servers/gone/mcp');
  const other = await listen('/servers/support/mcp');
  await session.callText('echo', { nonce: 'a', text: 'x' });
  const [opened] = first.issued.slice(-1);
  await other.callText('one__echo', { nonce: 'b', text: 'x' });
  await reload(pod, (config) => {
    config.servers = { support: { backends: ['one'], prefix: 'never' } };
  });
  await waitFor(
    () => `the DELETE of ${opened}:\n${tail(pod)}`,
    () => deletesOf(first).includes(opened),
  );
  await expect(session.callText('echo', { nonce: 'c' })).rejects.toMatchObject({ code: 404 });
  // Within a session a name goes on to mean what it meant.
  expect(await other.callText('one__echo', { nonce: 'd', text: 'x' })).toBe('d:x');
  const metrics = await (await fetch(pod.adminUrl('/metrics'))).text();
  expect(metrics).toMatch(/berth_session_ends_total\{reason="removed"\} 1/);
});

test('a session that nobody owned during the reload: its next owner ends what does not belong to it any more', async () => {
  await pod.dispose();
  pod = await startPod({
    config: {
      sessions: { releaseAfter: '300ms' },
      mcpServers: { one: { type: 'http', url: first.url }, two: { type: 'http', url: second.url } },
    },
  });
  await untilAllWork(pod);
  const session = await connectSdkClient(pod.url('/mcp'));
  sessions.push(session);
  await session.client.listTools();
  await session.callText('one__echo', { nonce: 'a' });
  await session.callText('two__echo', { nonce: 'b' });
  const [moved] = first.issued.slice(-1);
  const [removed] = second.issued.slice(-1);
  // With its stream open it would be kept.
  await session.client.close();
  await waitFor(
    () => `the session to be given up:\n${tail(pod, 30)}`,
    () => pod.logs().some(({ msg, left }) => msg === 'idle sessions were given up' && left === 0),
    20_000,
  );
  await reload(pod, (config) => {
    config.mcpServers = { one: { type: 'http', url: third.url } };
  });
  const answer = await pod.sendTo(pod.workers()[0] as number, {
    method: 'POST',
    path: '/mcp',
    headers: { ...JSON_HEADERS, 'mcp-session-id': session.sessionId },
    body: JSON.stringify({ jsonrpc: '2.0', id: 9, method: 'tools/call', params: { name: 'echo', arguments: { nonce: 'c' } } }),
  });
  expect(answer.body).toContain('c:');
  expect(third.calls.map(({ nonce }) => nonce)).toContain('c');
  await waitFor(
    () => `the DELETE of ${moved}:\n${tail(pod)}`,
    () => deletesOf(first).includes(moved),
  );
  await waitFor(
    () => `the DELETE of ${removed}:\n${tail(pod)}`,
    () => deletesOf(second).includes(removed),
  );
});

test('a worker that is killed after a reload comes back with the new configuration, and its sessions with it', async () => {
  const session = await listen('/mcp');
  await session.callText('echo', { nonce: 'a' });
  await reload(pod, (config) => {
    config.mcpServers.two = { type: 'http', url: second.url };
  });
  const before = pod.workers();
  for (const pid of before) killNow(pid);
  await waitFor(
    () => `two new workers:\n${tail(pod)}`,
    () => pod.logs().filter(({ msg }) => msg === 'worker ready').length >= 4,
    60_000,
  );
  expect(pod.workers().filter((pid) => before.includes(pid))).toEqual([]);
  const text = await waitFor(
    () => `the added backend to answer:\n${tail(pod, 30)}`,
    () => session.callText('two__echo', { nonce: `after-${performance.now()}`, text: 'x' }),
    20_000,
  );
  expect(text).toMatch(/^after-/);
});
