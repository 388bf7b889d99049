// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// Which admin API the CLI speaks to, and with which token.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AdminFlags, findAdmin } from '../../../src/cli/admin-access.js';
import { liftReferences } from '../../../src/cli/lift-references.js';

const cwd = mkdtempSync(join(tmpdir(), 'berth-cli-'));
afterEach(() => rmSync(join(cwd, 'berth.yaml'), { force: true }));
afterAll(() => rmSync(cwd, { recursive: true }));

const write = (text: string, name = 'berth.yaml') => writeFileSync(join(cwd, name), text);
const find = (flags: AdminFlags = {}, env: Record<string, string> = {}) => findAdmin(flags, env, cwd);
const exitCodeOf = (flags: AdminFlags, env: Record<string, string> = {}) => {
  try {
    return find(flags, env);
  } catch (error) {
    return (error as { exitCode?: number }).exitCode;
  }
};

test('without anything it is the default listener, without a token', () => {
  expect(find()).toEqual({ url: 'http://127.0.0.1:8081', token: '' });
  expect(find({}, { BERTH_ADMIN_TOKEN: 'e' })).toEqual({ url: 'http://127.0.0.1:8081', token: 'e' });
});

test('the file of the directory, or the one that is named, says where and what; the environment wins', () => {
  write('admin: { listen: "127.0.0.1:9", token: "${SECRET}" }');
  write('admin: { listen: "[::]:7" }', 'other.yaml');
  expect(find({}, { SECRET: 'f' })).toEqual({ url: 'http://127.0.0.1:9', token: 'f' });
  expect(find({}, { BERTH_ADMIN_TOKEN: 'e', BERTH_ADMIN__LISTEN: '127.0.0.1:8' })).toEqual({
    url: 'http://127.0.0.1:8',
    token: 'e',
  });
  expect(find({ config: 'other.yaml' })).toEqual({ url: 'http://[::1]:7', token: '' });
  write('admin: { listen: "0.0.0.0:7" }', 'other.yaml');
  expect(find({ config: 'other.yaml' }).url).toBe('http://127.0.0.1:7');
});

test('what the rest of the file needs is not asked for', () => {
  write('mcpServers: { a: { url: "${NOT_SET_HERE}" } }\nunknown: 1\nadmin: { metricsToken: "${NOR_THIS}", token: t }');
  expect(find()).toEqual({ url: 'http://127.0.0.1:8081', token: 't' });
});

test('the token of a file that merely lies there is not sent to an address that was named', () => {
  write('admin: { token: t }');
  expect(find({ admin: 'https://elsewhere.example:1/' })).toEqual({ url: 'https://elsewhere.example:1', token: '' });
  expect(find({ admin: 'http://a:1', config: 'berth.yaml' })).toEqual({ url: 'http://a:1', token: 't' });
});

test('a token file wins over everything; its line break is no part of it', () => {
  write('t\n', 'token');
  expect(find({ tokenFile: 'token' }, { BERTH_ADMIN_TOKEN: 'e' }).token).toBe('t');
  write('\n', 'empty');
  expect([exitCodeOf({ tokenFile: 'empty' }), exitCodeOf({ tokenFile: 'missing' })]).toEqual([64, 64]);
});

test.each(['127.0.0.1:8081', 'ftp://a', 'http://user:pw@a', 'http://a?token=t', ''])('"%s" is no address', (admin) => {
  expect(exitCodeOf({ admin })).toBe(64);
});

test('what is wrong with the file is told as everywhere', () => {
  write('admin: { token: "${NOT_SET}" }');
  expect(exitCodeOf({})).toBe(78);
  write('admin: { listen: 8081 }');
  expect(exitCodeOf({})).toBe(78);
  write('admin: { listen: "127.0.0.1:0" }');
  expect(exitCodeOf({})).toBe(64);
  expect(exitCodeOf({ config: 'missing.yaml' })).toBe(78);
});

test('a reference that begins with a dash is taken for no option', () => {
  const ref = `-${'a'.repeat(21)}`;
  expect(liftReferences(['sessions', 'kill', ref, '--json', 'b'])).toEqual(['sessions', 'kill', '--json', 'b', '--', ref]);
  expect(liftReferences(['sessions', 'show', '--', ref])).toEqual(['sessions', 'show', '--', ref]);
  expect(liftReferences(['workers', ref])).toEqual(['workers', ref]);
  expect(liftReferences(['sessions', 'list', '--token-file', 'x'])).toEqual(['sessions', 'list', '--token-file', 'x']);
});
