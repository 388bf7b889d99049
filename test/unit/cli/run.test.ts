// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written like templates
// The command line without a process around it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BridgeSettings } from '../../../src/bridge/bridge.js';
import { runCli } from '../../../src/cli/run.js';
import type { LoadedConfig } from '../../../src/config/load.js';
import { VERSION } from '../../../src/config/version.js';

describe('berth', () => {
  const cwd = mkdtempSync(join(tmpdir(), 'berth-cli-'));
  beforeEach(() => rmSync(join(cwd, 'berth.yaml'), { force: true }));
  afterAll(() => rmSync(cwd, { recursive: true }));

  const run = async (args: string[], exitCode = 0, env: Record<string, string> = {}, isTty = false) => {
    const told = { out: '', err: '', started: [] as LoadedConfig[], bridged: [] as BridgeSettings[] };
    const code = await runCli(args, {
      env,
      cwd,
      out: (text) => {
        told.out += text;
      },
      err: (text) => {
        told.err += text;
      },
      self: { execPath: '/opt/node', script: '/opt/berth/dist/main.js' },
      isTty,
      startPrimary: async (loaded, { onReady }) => {
        told.started.push(loaded);
        onReady?.({ port: 4711, adminPort: 4712 });
        return exitCode;
      },
      startBridge: async (settings) => {
        told.bridged.push(settings);
        return exitCode;
      },
    });
    return { code, ...told };
  };

  test('without arguments shows the help and ends with 64', async () => {
    const { code, err, out } = await run([]);
    expect([code, out]).toEqual([64, '']);
    expect(err).toMatch(/serve[\s\S]*check/);
  });

  test('--help and --version are no mistakes', async () => {
    expect(await run(['--version'])).toMatchObject({ code: 0, out: `${VERSION}\n` });
    expect((await run(['--help'])).code).toBe(0);
    expect((await run(['help', 'serve'])).out).toContain('--config');
    expect((await run(['serve', '--help'])).code).toBe(0);
  });

  test.each([
    ['an unknown command', ['serv'], 'Did you mean serve?'],
    ['an unknown option', ['serve', '--prot', '1'], "unknown option '--prot'"],
    ['an option without its value', ['serve', '--listen'], 'argument missing'],
    ['an argument too many', ['serve', 'berth.yaml'], 'too many arguments'],
  ])('ends with 64 on %s', async (_name, args, message) => {
    const { code, err, started } = await run(args);
    expect([code, started]).toEqual([64, []]);
    expect(err).toContain(message);
  });

  test.each(['serve', 'check'])('%s without a file says how to write one, 78', async (command) => {
    const { code, err } = await run([command]);
    expect(code).toBe(78);
    expect(err).toMatch(/no berth\.yaml[\s\S]*mcpServers:[\s\S]*npm start/);
  });

  test('serve with a file that does not exist names it, 78', async () => {
    const { code, err } = await run(['serve', '--config', 'nope.yaml']);
    expect(code).toBe(78);
    expect(err).toContain(`${join(cwd, 'nope.yaml')}: there is no such file`);
  });

  test('serve finds the file, lets flags win, and ends with the code of the gateway', async () => {
    writeFileSync(join(cwd, 'berth.yaml'), 'workers: 1\nlisten: 127.0.0.1:1\n');
    const { code, started } = await run(['serve', '--workers', '3', '--listen', '127.0.0.1:9'], 1);
    expect(code).toBe(1);
    expect(started[0]).toMatchObject({ file: join(cwd, 'berth.yaml'), config: { workers: 3, listen: '127.0.0.1:9' } });
    expect(started[0]?.warnings).toHaveLength(1);
  });

  test('serve does not start on a bad configuration', async () => {
    writeFileSync(join(cwd, 'berth.yaml'), 'listn: x\n');
    const { code, err, started } = await run(['serve']);
    expect([code, started]).toEqual([78, []]);
    expect(err).toContain('Did you mean "listen"?');
  });

  test('check tells what was understood and prints YAML without secrets', async () => {
    writeFileSync(
      join(cwd, 'berth.yaml'),
      'admin: { token: hunter2 }\nmcpServers: { a: { command: npx, args: [x] }, off: { command: y, disabled: true } }\nservers: { s: { backends: [a], tools: { exclude: [rm] } } }\n',
    );
    const { code, out } = await run(['check']);
    expect(code).toBe(0);
    for (const part of [
      'a: stdio, npx x',
      '/mcp: all backends (a); all tools',
      '/servers/s/mcp: a; without tools rm',
      'servers.s.tools: what it hides is served at /mcp and /servers/a/mcp all the same',
      'http://127.0.0.1:8080/servers/s/mcp',
      'off (line 2): is disabled',
      'idleTimeout: 2h',
    ]) {
      expect(out).toContain(part);
    }
    expect(out).not.toContain('hunter2');
  });

  test.each([
    ['auto', true, 'auto', true],
    ['auto', false, 'auto', false],
    ['auto', true, 'json', false],
    ['auto', false, 'pretty', true],
    ['always', false, 'json', true],
    ['never', true, 'pretty', false],
  ])('serve --snippets %s, terminal %s, log.format %s: prints what to paste: %s', async (when, isTty, format, expected) => {
    writeFileSync(
      join(cwd, 'berth.yaml'),
      `listen: 127.0.0.1:0\nlog: { format: ${format} }\nmcpServers: { a: { command: x } }\n`,
    );
    const { out } = await run(['serve', '--snippets', when], 0, {}, isTty);
    if (!expected) expect(out).toBe('');
    else {
      expect(out).toContain('Berth is ready.');
      expect(out).toContain('claude mcp add --transport http berth http://127.0.0.1:4711/mcp\n');
      expect(out).toContain('http://127.0.0.1:4712  (dashboard; /metrics');
    }
  });

  test('snippets prints one alone, or all as JSON, of the server that is named', async () => {
    writeFileSync(join(cwd, 'berth.yaml'), 'mcpServers: { a: { command: x } }\nservers: { s: { backends: [a] } }\n');
    expect((await run(['snippets', '--client', 'codex'])).out).toBe(
      '[mcp_servers.s]\nurl = "http://127.0.0.1:8080/servers/s/mcp"\n',
    );
    const { snippets, url } = JSON.parse((await run(['snippets', '--json', '--server', '/mcp'])).out);
    expect(url).toBe('http://127.0.0.1:8080/mcp');
    expect(snippets).toHaveLength(7);
    expect(JSON.parse(snippets[1].text)).toEqual({
      mcpServers: { berth: { command: '/opt/node', args: ['/opt/berth/dist/main.js', 'stdio', url] } },
    });
    expect((await run(['snippets'])).out).toContain('Windsurf (mcp_config.json):\n  {\n');
  });

  test('snippets of a URL needs no configuration', async () => {
    const { out } = await run(['snippets', 'https://mcp.example.com/servers/support', '--key', '--client', 'codex']);
    expect(out).toBe(
      '[mcp_servers.support]\nurl = "https://mcp.example.com/servers/support/mcp"\nbearer_token_env_var = "BERTH_TOKEN"\n',
    );
    expect((await run(['snippets', 'http://h:1', '--client', 'claude-code'])).out).toBe(
      'claude mcp add --transport http berth http://h:1/mcp\n',
    );
  });

  test.each([
    ['a URL and a server', ['http://h:1', '--server', 's'], 'neither --config nor --server', ''],
    ['a URL that is none', ['h:1'], 'http://127.0.0.1:8080/mcp', ''],
    ['a server that is not served', ['--server', 'x'], 'Served: /mcp, s, a.', ''],
    ['a client that is not known', ['--client', 'emacs'], 'Allowed choices', ''],
    ['a port that nobody knows', [], 'known to the running gateway only', 'listen: 127.0.0.1:0\n'],
  ])('snippets ends with 64 on %s', async (_name, args, message, more) => {
    writeFileSync(join(cwd, 'berth.yaml'), `${more}mcpServers: { a: { command: x } }\nservers: { s: { backends: [a] } }\n`);
    const { code, err, out } = await run(['snippets', ...args]);
    expect([code, out]).toEqual([64, '']);
    expect(err).toContain(message);
  });

  test('stdio gives the bridge its endpoint, headers and patience, and ends with its code', async () => {
    const args = ['stdio', 'http://host:1/servers/a', '-H', 'X-A: ${A}', '--header', 'X-B:2', '--patience', '2m'];
    const { code, bridged, out } = await run(args, 0, { A: '1', BERTH_TOKEN: 't' });
    expect([code, out]).toEqual([0, '']);
    expect(bridged).toEqual([
      {
        url: new URL('http://host:1/servers/a/mcp'),
        headers: { authorization: 'Bearer t', 'x-a': '1', 'x-b': '2' },
        patienceMs: 120_000,
      },
    ]);
    expect((await run(['stdio', 'http://host:1/sse'])).err).toContain('using /mcp');
  });

  test.each([
    ['no URL', ['stdio'], 'url'],
    ['a bad URL', ['stdio', 'host:1'], 'http://127.0.0.1:8080/mcp'],
    ['a reserved header', ['stdio', 'http://h', '-H', 'Mcp-Session-Id: x'], 'reserved'],
    ['a patience without a unit', ['stdio', 'http://h', '--patience', '60'], '30s'],
    ['a patience that is none', ['stdio', 'http://h', '--patience', '0s'], '1s to 10m'],
  ])('stdio ends with 64 on %s and says what to do', async (_name, args, message) => {
    const { code, err, bridged } = await run(args);
    expect([code, bridged]).toEqual([64, []]);
    expect(err).toContain(message);
  });
});
