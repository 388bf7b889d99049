// auth.mode keys: what may be written, what is refused with which remedy, what is shown.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { effectiveYaml } from '../../../src/config/effective.js';
import { loadConfig } from '../../../src/config/load.js';
import { loadText, refusal } from './load-text.js';

const A = createHash('sha256').update('a').digest('hex');
const B = createHash('sha256').update('b').digest('hex');

test.each([
  ['a list', `keys: [{ id: alice, sha256: ${A} }, { id: bob, sha256: ${B} }]`],
  ['a map', `keys: { alice: ${A}, bob: ${B} }`],
  ['texts', `keys: ["alice:${A}", "bob:${B}"]`],
  ['capital digits', `keys: { alice: ${A.toUpperCase()}, bob: ${B} }`],
])('keys may be %s', (_how, keys) => {
  const { config } = loadText(`auth:\n  mode: keys\n  ${keys}`);
  expect(config.auth?.keys).toEqual([
    { id: 'alice', sha256: [A] },
    { id: 'bob', sha256: [B] },
  ]);
});

it('keys may come from the environment, and an id may have two while one is replaced', () => {
  const env = { BERTH_AUTH__MODE: 'keys', BERTH_AUTH__KEYS: `alice:${A},bob:${B}` };
  expect(loadText('{}', { env }).config.auth?.keys.map(({ id }) => id)).toEqual(['alice', 'bob']);
  expect(loadText(`auth: { mode: keys, keys: { alice: [${A}, ${B}] } }`).config.auth?.keys[0]?.sha256).toEqual([A, B]);
});

test.each([
  ['no key', 'auth: { mode: keys }', 'auth.mode (line 1): there is no key', 'openssl rand -hex 32'],
  [
    'keys that nobody must send',
    `auth: { mode: none, keys: { a: ${A} } }`,
    'auth.mode (line 1): there are keys',
    'Write auth.mode: keys',
  ],
  ['keys without a mode', `auth: { keys: { a: ${A} } }`, 'there are keys, but with the mode "none"', 'Write auth.mode: keys'],
  ['a keys file without a mode', 'auth: { keysFile: k.yaml }', 'there are keys', 'Write auth.mode: keys'],
  ['no digest', 'auth: { mode: keys, keys: { a: secret-key } }', '64 hex digits, not the key itself', 'auth.keys'],
  [
    'a digest that is too short',
    `auth: { mode: keys, keys: [{ id: a, sha256: ${A.slice(1)} }] }`,
    'auth.keys[0].sha256',
    '64 hex digits',
  ],
  ['no id', `auth: { mode: keys, keys: [{ sha256: ${A} }] }`, 'auth.keys[0].id', ''],
  ['an id with a blank', `auth: { mode: keys, keys: [{ id: "a b", sha256: ${A} }] }`, 'auth.keys[0].id', 'letters, digits'],
  ['an unknown part', `auth: { mode: keys, keys: [{ id: a, sha256: ${A}, role: x }] }`, 'role', 'unknown option'],
  ['one id twice', `auth: { mode: keys, keys: ["a:${A}", "a:${B}"] }`, 'auth.keys (line 1): "a" is given twice', 'one id'],
  ['one key twice', `auth: { mode: keys, keys: { a: ${A}, b: ${A} } }`, '"a" and "b" have the same key', 'his own'],
  ['a keys file that is not there', 'auth: { mode: keys, keysFile: none.yaml }', 'there is no such file', 'Check the path'],
  ['an unknown mode', 'auth: { mode: key }', 'auth.mode (line 1): expected one of "none", "keys"', 'Did you mean "keys"?'],
])('%s is refused', (_what, text, where, remedy) => {
  const told = refusal(text);
  expect(told).toContain(where);
  expect(told).toContain(remedy);
  expect(told).not.toContain('secret-key');
});

describe('a keys file', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-auth-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const load = (keys: string, text: string, name = 'keys.yaml') => {
    writeFileSync(join(directory, name), keys);
    writeFileSync(join(directory, 'berth.yaml'), text);
    return loadConfig({ file: 'berth.yaml', cwd: directory, env: {} });
  };
  const text = 'auth: { mode: keys, keysFile: keys.yaml }';

  test.each([
    ['a map', `alice: ${A}\nbob: ${B}\n`, 'keys.yaml'],
    ['a list', `- { id: alice, sha256: ${A} }\n`, 'keys.yaml'],
    ['JSON', `{ "alice": "${A}" }`, 'keys.json'],
  ])('may be %s, and its path is relative to the configuration', (_how, keys, name) => {
    const { config } = load(keys, `auth: { mode: keys, keysFile: ${name} }`, name);
    expect(config.auth?.keysFile).toBe(join(directory, name));
    expect(config.auth?.keys).toEqual([]);
  });

  test.each([
    ['empty', '', 'there is no key in it'],
    ['no YAML', 'a: [\n', 'line'],
    ['with a bad digest', 'alice: my-secret-key\n', '64 hex digits'],
    ['a text', 'just text\n', 'the file'],
  ])('that is %s is refused, with its name, without a value', (_what, keys, told) => {
    const message = (() => {
      try {
        load(keys, text);
        return 'accepted';
      } catch (error) {
        return (error as Error).message;
      }
    })();
    expect(message).toContain(join(directory, 'keys.yaml'));
    expect(message).toContain(told);
    expect(message).not.toContain('my-secret-key');
  });

  it('may not repeat what auth.keys has', () => {
    expect(() => load(`alice: ${B}\n`, `auth: { mode: keys, keys: { alice: ${A} }, keysFile: keys.yaml }`)).toThrow(
      '"alice" is given twice',
    );
  });
});

it('warns of backends that want a header in which a key comes', () => {
  const backend = 'mcpServers: { t: { url: "http://x", forwardHeaders: [Authorization, x-tenant] } }';
  const { warnings } = loadText(`auth: { mode: keys, keys: { a: ${A} } }\n${backend}`);
  expect(warnings).toEqual([expect.stringContaining('mcpServers.t.forwardHeaders: authorization is not passed on')]);
  expect(loadText(backend).warnings).toEqual([]);
});

it('is shown with its ids only', () => {
  const yaml = effectiveYaml(loadText(`auth: { mode: keys, keys: { alice: ${A} } }`).config);
  expect(yaml).toContain('alice');
  expect(yaml).not.toContain(A);
});

it('keeps the cap of a caller, which without authentication is that of all', () => {
  const keys = `auth: { mode: keys, keys: { a: ${A} } }`;
  expect(loadText(keys).config.sessions.maxPerPrincipal).toBe(100);
  expect(loadText('{}').config.sessions.maxPerPrincipal).toBe(10_000);
  expect(loadText('sessions: { maxPerPrincipal: 7 }').config.sessions.maxPerPrincipal).toBe(7);
});
