// Servers as users run them: the SDK's SSEServerTransport, and the reference server in its `sse` mode.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { freePort } from '../../support/ports.js';
import { startSdkSseBackend } from '../../support/sdk-sse-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { makeBackend as makeHttpBackend } from '../backends-http/harness.js';
import { Caller, callTool, RecordingHost, soon, useBackends } from './harness.js';

const COMMAND = join(__dirname, '../../../node_modules/.bin/mcp-server-everything');

const { connect, createSession, closing } = useBackends();

test("the SDK's server: list, calls, progress, list_changed, its end, a restart", async () => {
  const server = await startSdkSseBackend();
  closing.push(() => server.close());
  const { session, host } = createSession(connect(server.url));
  const info = await session.open(soon());
  expect(info.serverInfo).toMatchObject({ name: 'sse-fixture' });
  const list = await new Caller(session, { id: 1, method: 'tools/list' }).response;
  expect(list.result.tools.map(({ name }: { name: string }) => name)).toContain('counter');
  const counts = await Promise.all([1, 2, 3].map((id) => callTool(session, id, 'counter', { nonce: `n-${id}` }).response));
  expect(counts.map(({ result }) => result.content[0].text).sort()).toEqual(['1', '2', '3']);
  const telling = callTool(session, 4, 'emit', { steps: 3 }, { progressToken: 'p' });
  await telling.response;
  expect(telling.progress).toHaveLength(3);
  server.sendToolListChanged();
  await waitFor('list_changed', () => host.notifications.some(({ method }) => method === 'notifications/tools/list_changed'));

  await server.endStreams();
  await waitFor('the session to be closed', () => !session.isOpen);
  expect((await callTool(session, 5, 'counter').response).result.content[0].text).toBe('1');
  expect(server.issued).toHaveLength(2);

  server.forgetSessions();
  expect((await callTool(session, 6, 'counter').response).result.content[0].text).toBe('1');
  expect(server.issued).toHaveLength(3);
  session.close(new GatewayError('SESSION_NOT_FOUND'));
  await waitFor('every stream to be closed', () => server.open.size === 0);
  expect(new Set(server.methods)).toEqual(new Set(['GET', 'POST']));
});

test.each([404, 405])('an http backend that is answered %i at initialize is told of the other type', async (status) => {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(status).end('Cannot POST /sse');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const backend = makeHttpBackend(`http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`);
  closing.push(() => backend.close());
  await expect(backend.createSession(new RecordingHost(), undefined).open(soon())).rejects.toMatchObject({
    code: 'BACKEND_UNAVAILABLE',
    details: { reason: `http_${status}`, remedy: expect.stringContaining('set type: sse') },
  });
});

test('the everything server in its sse mode opens, lists, calls and reports progress', async () => {
  const port = await freePort();
  const child: ChildProcess = spawn(COMMAND, ['sse'], { env: { PATH: process.env.PATH, PORT: String(port) }, stdio: 'ignore' });
  closing.push(async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  const url = `http://127.0.0.1:${port}/sse`;
  await waitFor('the server to listen', async () => (await fetch(`http://127.0.0.1:${port}/`)).status > 0, 20_000);
  const { session } = createSession(connect(url));
  const info = await session.open(soon());
  expect(info.capabilities).toHaveProperty('tools');
  const list = await new Caller(session, { id: 1, method: 'tools/list' }).response;
  const names: string[] = list.result.tools.map(({ name }: { name: string }) => name);
  expect((await callTool(session, 2, 'echo', { message: 'hello' }).response).result.content[0].text).toContain('hello');
  const long = names.find((name) => /long-?running/i.test(name)) as string;
  const running = callTool(session, 3, long, { duration: 1, steps: 2 }, { progressToken: 'p' });
  await running.response;
  expect(running.progress.length).toBeGreaterThanOrEqual(2);
});
