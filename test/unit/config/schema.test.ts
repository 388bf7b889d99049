// The schema: complete in words, JSON-safe, sound in its defaults.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAddressRange, isLoopback, parseAddress } from '../../../src/config/address.js';
import { keysAt, listOptions } from '../../../src/config/options.js';
import { configSchema } from '../../../src/config/schema.js';
import { nearest } from '../../../src/config/suggest.js';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../../src/config/units.js';
import { VERSION } from '../../../src/config/version.js';
import { resolveWorkers } from '../../../src/config/workers.js';
import { loadText } from './load-text.js';

/** Every path of the effective configuration that holds a value. */
const leaves = (value: unknown, path: string[]): string[] =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length
    ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]))
    : [path.join('.')];

test('every option is documented', () => {
  const documented = new Set(listOptions().map(({ path }) => path.join('.')));
  const config = configSchema.parse({ auth: {} });
  expect(leaves(config, []).filter((path) => !documented.has(path))).toEqual([]);
  for (const path of [
    ['mcpServers', '*'],
    ['servers', '*'],
    ['servers', '*', 'tools'],
  ]) {
    for (const key of keysAt(path)) if (key !== 'tools') expect(documented).toContain([...path, key].join('.'));
  }
});

test('the effective configuration survives JSON', () => {
  const { config } = loadText('mcpServers: { a: { command: x }, b: { url: "http://x" } }\nservers: { s: { backends: [a] } }');
  expect(JSON.parse(JSON.stringify(config))).toEqual(config);
});

test('the version is that of the package', () => {
  const { version } = JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8')) as { version: string };
  expect(VERSION).toBe(version);
});

test('without authentication the cap per caller is the total, unless it is set', () => {
  expect(loadText('sessions: { max: 50 }').config.sessions.maxPerPrincipal).toBe(50);
  expect(loadText('sessions: { max: 50, maxPerPrincipal: 7 }').config.sessions.maxPerPrincipal).toBe(7);
});

test('a group whose lines are all commented out is absent', () => {
  expect(loadText('redis:\nmcpServers:\nlisten:\n').config.redis.prefix).toBe('berth:');
});

test('dataDir and the cwd of backends are relative to the file', () => {
  const { config, file } = loadText('dataDir: data\nmcpServers: { a: { command: x, cwd: sub } }');
  const directory = join(file as string, '..');
  expect(config.dataDir).toBe(join(directory, 'data'));
  expect(config.mcpServers.a).toMatchObject({ cwd: join(directory, 'sub') });
});

test.each([
  ['2h', 7_200_000],
  ['90s', 90_000],
  ['1500ms', 1500],
  ['0s', 0],
])('the duration %s is %i ms and back', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
  expect(formatDuration(ms)).toBe(text);
});

test.each([
  ['4MiB', 4_194_304],
  ['3KiB', 3072],
  ['100B', 100],
])('the size %s is %i bytes and back', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
  expect(formatSize(bytes)).toBe(text);
});

test('addresses are HOST:PORT, with brackets around IPv6', () => {
  expect(parseAddress('[::1]:80')).toEqual({ host: '::1', port: 80 });
  expect(parseAddress('localhost:0')).toEqual({ host: 'localhost', port: 0 });
  for (const bad of ['::1:80', 'x', ':80', '1.2.3.4:65536', '[1.2.3.4]:1', 'http://x:1'])
    expect(parseAddress(bad)).toBeUndefined();
});

test('loopback is what only this machine can reach', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'localhost', '::ffff:127.0.0.1'])
    expect(isLoopback(host)).toBe(true);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'localhost.evil.example', '127.0.0.1.evil.example'])
    expect(isLoopback(host)).toBe(false);
});

test('ranges of addresses', () => {
  for (const good of ['10.0.0.1', '10.0.0.0/8', 'fd00::/8']) expect(isAddressRange(good)).toBe(true);
  for (const bad of ['10.0.0.0/33', '10.0.0.0/', 'x', '10.0.0.0/8/8']) expect(isAddressRange(bad)).toBe(false);
});

test('workers: auto is the smallest of cores, quota and 8, at least 1', () => {
  const auto = { workers: 'auto' } as const;
  expect(resolveWorkers(auto, { cores: 4, quota: undefined })).toBe(4);
  expect(resolveWorkers(auto, { cores: 64, quota: undefined })).toBe(8);
  expect(resolveWorkers(auto, { cores: 16, quota: 1.5 })).toBe(2);
  expect(resolveWorkers(auto, { cores: 16, quota: 0.2 })).toBe(1);
  expect(resolveWorkers({ workers: 12 }, { cores: 1, quota: 1 })).toBe(12);
});

test('suggestions are near or none', () => {
  expect(nearest('lsiten', ['listen', 'limits'])).toBe('listen');
  expect(nearest('completely', ['listen', 'limits'])).toBeUndefined();
});
