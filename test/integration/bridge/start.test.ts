// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written like templates
// The start of the bridge: what it sends, what it loads, what it refuses, and what it never tells.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../../support/wait-for.js';
import { useHarness } from './harness.js';

const use = useHarness();

test('headers and BERTH_TOKEN go with every request and are told nowhere', async () => {
  const server = await use.server();
  const args = ['--header', 'X-Tenant: blue', '--header', 'X-Key:${KEY}'];
  const bridge = use.bridge(server.url, { args, env: { BERTH_TOKEN: 's3cret-1', KEY: 's3cret-2' } });
  await bridge.open();
  await bridge.ask(1, 'ping');
  await waitFor('the GET stream', () => server.of('GET').length === 1);
  server.forget();
  await bridge.ask(2, 'tools/call', { name: 'echo' });
  await server.close();
  bridge.call(3, 'echo');
  await waitFor('the note', () => bridge.stderr.includes('away'));
  expect((await bridge.close()).code).toBe(0);
  for (const { headers } of server.requests) {
    expect(headers).toMatchObject({ 'x-tenant': 'blue', 'x-key': 's3cret-2', authorization: 'Bearer s3cret-1' });
  }
  expect(bridge.stdout + bridge.stderr).not.toMatch(/s3cret|session-[12]/);
});

test.each(['', '/', '/mcp/', '/sse', '/mcp?a=b'])('the URL may end in "%s"', async (path) => {
  const server = await use.server();
  const bridge = use.bridge(`http://127.0.0.1:${server.port}${path}`);
  expect((await bridge.open()).result?.serverInfo).toMatchObject({ name: 'strict' });
  if (path === '/sse') expect(bridge.stderr).toMatch(/^berth stdio: .*\n$/);
  else expect(bridge.stderr).toBe('');
});

test('a bad URL ends with 64, on stderr alone', async () => {
  const bridge = use.bridge('localhost:8080');
  expect((await bridge.exited).code).toBe(64);
  expect([bridge.stdout, bridge.stderr]).toEqual(['', expect.stringContaining('http://127.0.0.1:8080/mcp')]);
});

test('it loads nothing of the gateway', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-bridge-'));
  const file = join(directory, 'loaded');
  const preload = join(__dirname, '../../support/fixtures/loaded-modules.cjs');
  const bridge = use.bridge((await use.server()).url, { env: { NODE_OPTIONS: `--require ${preload}`, LOADED_FILE: file } });
  await bridge.open();
  await bridge.close();
  const loaded = readFileSync(file, 'utf8').split('\n');
  rmSync(directory, { recursive: true });
  expect(loaded.sort()).toEqual(['commander', 'undici']);
});

test('initialize again: the first session is ended', async () => {
  const server = await use.server();
  const bridge = use.bridge(server.url);
  await bridge.open();
  await bridge.ask('again', 'initialize', {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'x', version: '1' },
  });
  bridge.notify('notifications/initialized');
  expect((await bridge.ask(1, 'tools/list')).result?.tools).toHaveLength(1);
  await waitFor('the DELETE', () => server.of('DELETE').length === 1);
  expect(server.of('DELETE')[0]?.sessionId).toBe('session-1');
  expect(server.of('tools/list')[0]?.sessionId).toBe('session-2');
});
