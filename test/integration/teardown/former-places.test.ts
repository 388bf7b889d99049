// A backend session is ended where it was opened, whatever is configured by then; and one that calls still run in, not before they end.
import { NO_CREDENTIALS } from '../../../src/backends/credentials/credentials.js';
import { FormerBackends } from '../../../src/cluster/former-backends.js';
import { configSchema } from '../../../src/config/schema.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { seal } from '../../../src/secrets/keyring.js';
import type { SessionRef } from '../../../src/protocol/ids.js';
import { waitFor } from '../../support/wait-for.js';
import { Bench, keyring, makeJob, RecordingServer } from './harness.js';

let bench: Bench;
let former: FormerBackends;
let mcpServers: Record<string, unknown>;
beforeEach(async () => {
  bench = new Bench();
  await bench.start();
  mcpServers = {};
  former = new FormerBackends({
    config: () => configSchema.parse({ mcpServers }),
    backend: (name) => bench.backends.get(name),
    keyring,
    clock: systemClock,
    version: '0.0.0-test',
    credentialsOf: (_name, { bearerFile }) =>
      bearerFile === undefined
        ? NO_CREDENTIALS
        : { ...NO_CREDENTIALS, isDynamic: true, current: () => `Bearer from ${bearerFile}` },
  });
});
afterEach(async () => {
  await former.close();
  await bench.stop();
});

function jobAt(backend: string, id: string, url: string) {
  const sessionRef = `ref-${id}` as SessionRef;
  const sealed = seal(keyring, JSON.stringify({ id, headers: { 'x-old': '1' }, url }), `${sessionRef}/${backend}`);
  return makeJob(backend, id, { sessionRef, sealed });
}

const work = () => bench.worker({ backend: (name, url) => former.find(name, url) });

test.each(['moved', 'removed'])(
  'a backend that was %s: the DELETE goes to the old place, with the headers of then',
  async (how) => {
    const now = await bench.backend('a', () => 204);
    const old = await RecordingServer.start(() => 204);
    bench.servers.set('old', old);
    if (how === 'moved') mcpServers.a = { url: now.url };
    else bench.backends.delete('a');
    work();
    await bench.queue().add([jobAt('a', 'id-1', old.url)]);
    await waitFor('the DELETE', () => bench.results.includes('done'));
    expect(old.requests.map(({ method, headers }) => [method, headers['mcp-session-id'], headers['x-old']])).toEqual([
      ['DELETE', 'id-1', '1'],
    ]);
    expect(now.requests).toEqual([]);
  },
);

test('a backend that was removed, with credentials that are sealed nowhere: they are those of then', async () => {
  const old = await RecordingServer.start((_count, headers) => (headers.authorization === 'Bearer from token' ? 204 : 401));
  bench.servers.set('old', old);
  const { mcpServers: before } = configSchema.parse({ mcpServers: { a: { url: old.url, bearerFile: 'token' } } });
  former.remember(before.a);
  work();
  await bench.queue().add([jobAt('a', 'id-1', old.url)]);
  await waitFor('the DELETE', () => bench.results.length === 1);
  expect(bench.results).toEqual(['done']);
});

test('a backend that was renamed: its own connections, under the new name', async () => {
  const server = await bench.backend('new', () => 204);
  mcpServers.new = { url: server.url };
  expect(former.find('old', server.url)).toBe(bench.backends.get('new'));
});

test('a command, or another kind of server, at the same place does not end what was opened over HTTP', async () => {
  const server = await bench.backend('a', () => 204);
  mcpServers.a = { type: 'sse', url: server.url };
  expect(former.find('a', server.url)).not.toBe(bench.backends.get('a'));
});

test('a backend that stays where it is: its own connections, and its headers in force', async () => {
  const server = await bench.backend('a', () => 204);
  mcpServers.a = { url: server.url.replace('//', '//user:pw@') };
  expect(former.find('a', server.url)).toBe(bench.backends.get('a'));
  expect(former.find('a', `${server.url}?v=2`)).not.toBe(bench.backends.get('a'));
  expect(former.find('unknown', undefined)).toBeUndefined();
});

test('a delayed job runs when it is hastened; one that runs already is left alone', async () => {
  const server = await bench.backend('a', () => 204);
  work();
  const queue = bench.queue();
  const jobs = [jobAt('a', 'id-1', server.url), jobAt('a', 'id-2', server.url)];
  await queue.add(jobs, 60_000);
  expect((await queue.counts()).delayed).toBe(2);
  await queue.hasten(jobs.slice(0, 1));
  await waitFor('the first DELETE', () => server.ids.length === 1);
  expect(server.ids).toEqual(['id-1']);
  await queue.hasten(jobs);
  await waitFor('the second DELETE', () => server.ids.length === 2);
  expect(server.ids).toEqual(['id-1', 'id-2']);
});
