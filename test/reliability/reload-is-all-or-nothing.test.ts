// A changed configuration is in force in every worker or in none. A bad one changes nothing and says why; what needs a restart is told.
import { readFileSync, symlinkSync, unlinkSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Pod, startPod, tail } from '../support/pod.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { fileOf, linesOf, reload, rewrite, untilAllWork, untilReload, writeText } from '../support/reload.js';
import { waitFor } from '../support/wait-for.js';

jest.setTimeout(180_000);

let pod: Pod;
let backend: RecordingBackend;

beforeAll(async () => {
  backend = await startRecordingBackend();
});
afterAll(() => backend?.close());
beforeEach(async () => {
  pod = await startPod({ config: { mcpServers: { one: { type: 'http', url: backend.url } } } });
  await untilAllWork(pod);
});
afterEach(() => pod?.dispose());

/** Whether each worker serves it. One after the other: the primary deals connections out in turn. */
async function knows(serverId: string): Promise<boolean[]> {
  const known: boolean[] = [];
  for (const worker of pod.workers()) {
    // Without a session 400; but 404 comes before.
    const { status } = await pod.sendTo(worker, {
      method: 'GET',
      path: `/servers/${serverId}/mcp`,
      headers: { accept: 'text/event-stream' },
    });
    known.push(status !== 404);
  }
  return known;
}

test('a bad file changes nothing, and one line says where and what to do', async () => {
  const good = readFileSync(fileOf(pod), 'utf8');
  const cases = [
    { text: good.replace('"one"', '"one" oops'), says: /line \d+, column \d+/ },
    { text: good.replace('"listen"', '"listne": 1, "listen"'), says: /listne.*line \d+[\s\S]*listen/ },
    { text: good.replace(backend.url, 'ftp://x'), says: /mcpServers\.one\.url \(line \d+\).*http/ },
    { text: good.replace(backend.url, ['$', '{NOT_SET}'].join('')), says: /NOT_SET/ },
    { text: good.replace('"5s"', '"5"'), says: /drain\.timeout/ },
  ];
  for (const { text, says } of cases) {
    const line = await untilReload(pod, 'refused', () => {
      writeText(pod, text);
      pod.signal('SIGHUP');
    });
    expect(line.level).toBe('error');
    expect(line.reason).toMatch(says);
  }
  expect(await knows('one')).toEqual([true, true]);
  // As it was: nothing to apply.
  await untilReload(pod, 'unchanged', () => {
    writeText(pod, good);
    pod.signal('SIGHUP');
  });
  const metrics = await (await fetch(pod.adminUrl('/metrics'))).text();
  expect(metrics).toMatch(new RegExp(`berth_config_reloads_total\\{outcome="refused"\\} ${linesOf(pod, 'refused').length}\\b`));
});

test('what the workers cannot prepare is applied by none of them', async () => {
  const line = await untilReload(pod, 'failed', () => {
    rewrite(pod, (config) => {
      config.mcpServers.two = { type: 'http', url: backend.url };
      config.mcpServers.bad = { type: 'http', url: backend.url, headers: { 'x-name': '€' } };
    });
    pod.signal('SIGHUP');
  });
  expect(JSON.stringify(line.reasons)).toMatch(/worker \d: backend bad: header \\"x-name\\"/);
  expect(await knows('two')).toEqual([false, false]);
  await reload(pod, (config) => {
    delete config.mcpServers.bad;
  });
  expect(await knows('two')).toEqual([true, true]);
});

test('a worker that does not answer keeps the others from it; the next attempt succeeds', async () => {
  const [silent] = pod.workers();
  process.kill(silent as number, 'SIGSTOP');
  try {
    const line = await untilReload(pod, 'failed', () => {
      rewrite(pod, (config) => {
        config.mcpServers.two = { type: 'http', url: backend.url };
      });
      pod.signal('SIGHUP');
    });
    expect(JSON.stringify(line.reasons)).toContain('did not answer');
  } finally {
    process.kill(silent as number, 'SIGCONT');
  }
  await untilReload(pod, 'applied', () => pod.signal('SIGHUP'));
  expect(await knows('two')).toEqual([true, true]);
});

test('options that need a restart stay as they were and are named; the rest is applied', async () => {
  const done = await reload(pod, (config) => {
    config.listen = '127.0.0.1:1';
    config.workers = 5;
    config.internal = { lease: '3s' };
    config.redis = { prefix: 'other:' };
    config.log = { level: 'info', format: 'json' };
    config.expose = { all: false };
    config.admin = { ...(config.admin as object), metricsToken: 'metrics-token' };
  });
  const named = pod.logs().flatMap(({ msg, option }) => (String(msg).includes('needs a restart') ? [option] : []));
  expect(named).toEqual(['listen', 'workers', 'redis.prefix', 'internal.lease']);
  expect(done.options).toEqual(['admin.metricsToken', 'log.level', 'expose.all']);
  expect(pod.workers()).toHaveLength(2);
  expect((await fetch(pod.url('/mcp'))).status).toBe(404);
  expect((await fetch(pod.adminUrl('/metrics'))).status).toBe(401);
  const before = pod.logs().length;
  expect(await knows('one')).toEqual([true, true]);
  expect(
    pod
      .logs()
      .slice(before)
      .filter(({ level }) => level === 'debug'),
  ).toEqual([]);
});

test('twenty signals in a row are one reload or two', async () => {
  await untilReload(pod, 'applied', () => {
    rewrite(pod, (config) => {
      config.mcpServers.two = { type: 'http', url: backend.url };
    });
    for (let i = 0; i < 20; i++) pod.signal('SIGHUP');
  });
  rewrite(pod, (config) => {
    config.mcpServers.three = { type: 'http', url: backend.url };
  });
  for (let i = 0; i < 20; i++) pod.signal('SIGHUP');
  await waitFor(
    () => `both workers to know the last backend:\n${tail(pod, 30)}`,
    async () => (await knows('three')).every(Boolean),
    20_000,
  );
  expect(linesOf(pod, 'applied')).toHaveLength(2);
  expect(linesOf(pod, 'refused')).toHaveLength(0);
  expect(pod.logs().filter(({ msg }) => msg === 'ready')).toHaveLength(1);
});

test('a changed file is noticed without a signal, also behind a link that is swapped', async () => {
  const file = fileOf(pod);
  const text = readFileSync(file, 'utf8');
  // As Kubernetes mounts a ConfigMap: the file is a link into a directory that is itself a link.
  const [oldFile, newFile] = [join(pod.dir, 'old.json'), join(pod.dir, 'new.json')];
  writeFileSync(oldFile, text);
  const config = JSON.parse(text);
  config.mcpServers.two = { type: 'http', url: backend.url };
  writeFileSync(newFile, JSON.stringify(config));
  const link = join(pod.dir, 'link');
  symlinkSync(oldFile, link);
  unlinkSync(file);
  symlinkSync(link, file);
  const line = await untilReload(pod, 'applied', () => {
    symlinkSync(newFile, `${link}.new`);
    renameSync(`${link}.new`, link);
  });
  expect(line.cause).toBe('file');
  expect(await knows('two')).toEqual([true, true]);
});
