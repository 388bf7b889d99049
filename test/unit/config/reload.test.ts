// What a reload changes, what keeps its value until a restart, and what is neither.
import { reloadConfig } from '../../../src/config/reload.js';
import { configSchema } from '../../../src/config/schema.js';
import { listOptions } from '../../../src/config/options.js';
import { loadText } from './load-text.js';

const base = { mcpServers: { a: { url: 'http://a.example/mcp' }, b: { command: 'run' } } };
const reload = (after: object, before: object = base) => reloadConfig(configSchema.parse(before), configSchema.parse(after));

it('applies nothing where nothing has changed', () => {
  expect(reload(base)).toMatchObject({ kept: [], applied: [] });
});

it('applies what it may and keeps the rest, each by name', () => {
  const after = {
    ...base,
    listen: '127.0.0.1:9',
    publicUrl: 'https://x.example',
    sessions: { max: 5, idleTimeout: '1h' },
    limits: { hold: '20s', body: '1MiB' },
    log: { level: 'warn', format: 'json' },
  };
  const { config, kept, applied } = reload(after);
  expect(kept).toEqual(['listen', 'sessions.idleTimeout', 'limits.body', 'log.format']);
  expect(applied).toEqual(['publicUrl', 'sessions.max', 'limits.hold', 'log.level']);
  expect(config).toMatchObject({
    listen: '127.0.0.1:8080',
    publicUrl: 'https://x.example',
    sessions: { max: 5, idleTimeout: 7_200_000 },
    limits: { hold: 20_000, body: 4_194_304 },
    log: { level: 'warn', format: 'auto' },
  });
});

it('takes what is no longer said from the defaults', () => {
  const { config, applied } = reload(base, { ...base, publicUrl: 'https://x.example', expose: { all: false } });
  expect(applied).toEqual(['publicUrl', 'expose.all']);
  expect(config.publicUrl).toBeUndefined();
  expect(config.expose.all).toBe(true);
});

it('sees that backends are in another order, which decides about names', () => {
  const { applied, config } = reload({ mcpServers: { b: base.mcpServers.b, a: base.mcpServers.a } });
  expect(applied).toEqual(['mcpServers']);
  expect(Object.keys(config.mcpServers)).toEqual(['b', 'a']);
});

it('never applies what workers or the primary read at their start only', () => {
  const live = listOptions().flatMap(({ path, doc }) => (doc.reload === 'live' ? [path.join('.')] : []));
  const roots = [
    'listen',
    'workers',
    'dataDir',
    'trustedProxies',
    'redis',
    'internal',
    'admin.listen',
    'log.format',
    'limits.body',
  ];
  expect(live.filter((name) => roots.some((root) => name === root || name.startsWith(`${root}.`)))).toEqual([]);
});

it.each([
  ['', true],
  ['# only a comment\n', true],
  ['{}', true],
  ['listen: 127.0.0.1:1', false],
])('a file that holds %j is told for empty: %s', (text, isEmpty) => {
  expect(loadText(text).isEmpty).toBe(isEmpty);
});
