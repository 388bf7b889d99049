// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// `berth check` as the process that users run.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';

const main = join(__dirname, '../../../dist/main.js');

describe('berth check, as a process', () => {
  const cwd = mkdtempSync(join(tmpdir(), 'berth-check-'));
  beforeAll(() => {
    if (!existsSync(main)) throw new Error('dist/main.js is missing: run npm run build first');
  });
  afterAll(() => rmSync(cwd, { recursive: true }));

  const berth = (args: string[], env: Record<string, string> = {}) =>
    spawnSync(process.execPath, [main, ...args], { cwd, encoding: 'utf8', env: { PATH: process.env.PATH ?? '', ...env } });

  test('prints the effective configuration as YAML and ends with 0', () => {
    writeFileSync(join(cwd, 'good.yaml'), 'mcpServers: { a: { command: npx, env: { KEY: "${KEY}" } } }\n');
    const { status, stdout, stderr } = berth(['check', 'good.yaml'], { KEY: 'hunter2', BERTH_SESSIONS__MAX: '9' });
    expect([status, stderr]).toEqual([0, '']);
    expect(parse(stdout)).toMatchObject({ sessions: { max: 9 }, mcpServers: { a: { env: { KEY: '***' } } } });
    expect(stdout).not.toContain('hunter2');
  });

  test('names every problem on stderr and ends with 78', () => {
    writeFileSync(join(cwd, 'bad.json'), '{ /* comment */ "listn": 1,\n "admin": { "listen": "0.0.0.0:1" } }');
    const { status, stdout, stderr } = berth(['check', 'bad.json']);
    expect([status, stdout]).toEqual([78, '']);
    expect(stderr).toContain('listn (line 1): unknown option');
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test('takes a file of Codex as it is, and says where one is broken, without its secrets', () => {
    writeFileSync(
      join(cwd, 'config.toml'),
      'model = "m"\n[mcp_servers.a]\nurl = "https://a.example/mcp"\nbearer_token_env_var = "A_TOKEN"\n',
    );
    const { status, stdout } = berth(['check', 'config.toml'], { A_TOKEN: 'hunter2' });
    expect(status).toBe(0);
    expect(stdout).toContain('#   a: http, https://a.example/mcp; as Codex writes it\n');
    expect(parse(stdout)).toMatchObject({ mcpServers: { a: { headers: { Authorization: '***' } } } });
    writeFileSync(join(cwd, 'config.toml'), '[mcp_servers.a]\nhttp_headers = { "X" = "hunter2" oops }\n');
    const broken = berth(['check', 'config.toml']);
    expect([broken.status, broken.stdout]).toEqual([78, '']);
    expect(broken.stderr).toMatch(/line 2, column \d+: /);
    expect(broken.stderr).not.toContain('hunter2');
  });

  test('bad usage ends with 64', () => {
    expect(berth([]).status).toBe(64);
    expect(berth(['check', 'a', 'b']).status).toBe(64);
    expect(berth(['--version'])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  test('shows who has a key, and neither digest nor key', () => {
    const digest = 'ab'.repeat(32);
    writeFileSync(join(cwd, 'keys.yaml'), `alice: ${digest}\n`);
    writeFileSync(join(cwd, 'auth.yaml'), `auth: { mode: keys, keysFile: keys.yaml, keys: ["bob:${'cd'.repeat(32)}"] }\n`);
    const { status, stdout } = berth(['check', 'auth.yaml']);
    expect(status).toBe(0);
    expect(stdout).toContain(`# auth: keys, from auth.keys and ${join(cwd, 'keys.yaml')}`);
    expect(parse(stdout)).toMatchObject({ auth: { mode: 'keys', keys: [{ id: 'bob', sha256: ['***'] }] } });
    expect(stdout).not.toMatch(/abab|cdcd/);
  });

  test('refuses a keys file that is missing or bad, without a value of it', () => {
    writeFileSync(join(cwd, 'auth.yaml'), 'auth: { mode: keys, keysFile: bad-keys.yaml }\n');
    const missing = berth(['check', 'auth.yaml']);
    expect([missing.status, missing.stderr]).toEqual([78, expect.stringContaining('bad-keys.yaml: there is no such file')]);
    writeFileSync(join(cwd, 'bad-keys.yaml'), 'alice: the-key-itself\n');
    const bad = berth(['check', 'auth.yaml']);
    expect([bad.status, bad.stderr]).toEqual([78, expect.stringContaining('openssl rand -hex 32')]);
    expect(bad.stderr).not.toContain('the-key-itself');
  });

  test('a secret may come from a file', () => {
    writeFileSync(join(cwd, 'redis.yaml'), 'redis: { url: "redis://user:hunter2@127.0.0.1:1/0" }\n');
    writeFileSync(join(cwd, 'secret'), `${'s'.repeat(32)}\n`);
    expect(berth(['check', 'redis.yaml']).stderr).toContain('BERTH_SECRET');
    const { status, stdout } = berth(['check', 'redis.yaml'], { BERTH_SECRET_FILE: 'secret' });
    expect(status).toBe(0);
    expect(stdout).not.toMatch(/hunter2|ssss/);
  });
});
