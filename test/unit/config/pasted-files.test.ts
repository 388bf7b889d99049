// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// Files of clients in the form that their own documentation shows: what is understood of each, exactly, and what is told.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { effectiveYaml } from '../../../src/config/effective.js';
import { loadConfig } from '../../../src/config/load.js';

const PASTED = join(__dirname, '../../fixtures/pasted');
const STDIO = { type: 'stdio', args: [], env: {}, timeout: 60_000, onStateLoss: 'fail' };
const SSE = { type: 'sse', headers: {}, forwardHeaders: [], timeout: 60_000, onStateLoss: 'reinitialize' };
const HTTP = { ...SSE, type: 'http', keepAlive: 0 };

interface Sample {
  readonly client: string;
  readonly env?: Record<string, string>;
  readonly backends: Record<string, object>;
  /** One pattern for each warning, in order. */
  readonly warnings: readonly RegExp[];
}

const SAMPLES: Record<string, Sample> = {
  'claude-desktop/claude_desktop_config.json': {
    client: 'Claude Desktop',
    backends: {
      filesystem: {
        ...STDIO,
        command: 'npx',
        args: ['-y', '@modelcontextprotocol/server-filesystem', '/Users/ada/Desktop', '/Users/ada/Downloads'],
      },
      'GitHub--work-': {
        ...STDIO,
        command: 'docker',
        args: ['run', '-i', '--rm', '-e', 'GITHUB_PERSONAL_ACCESS_TOKEN', 'ghcr.io/github/github-mcp-server'],
        env: { GITHUB_PERSONAL_ACCESS_TOKEN: 'ghp_0123456789' },
      },
    },
    warnings: [
      /^globalShortcut \(line 13\), preferences \(line 14\), isDxtAutoUpdatesEnabled \(line 15\): belong to Claude Desktop; ignored$/,
      /"GitHub \(work\)" is served as "GitHub--work-"/,
    ],
  },
  'claude-code/.mcp.json': {
    client: 'Claude Code',
    env: { API_KEY: 'k', DB_URL: 'd', CLAUDE_PROJECT_DIR: '/srv/shop' },
    backends: {
      api: { ...HTTP, url: 'https://api.example.com/mcp', headers: { Authorization: 'Bearer k' } },
      events: { ...SSE, url: 'https://events.example.com/sse', headers: { 'X-Api-Key': 'k' } },
      database: {
        ...STDIO,
        command: '/srv/shop/bin/db-server',
        args: ['--config', 'db.json'],
        env: { DB_URL: 'd', CACHE_DIR: '/tmp' },
      },
      internal: { ...HTTP, url: 'https://mcp.internal.example.com' },
    },
    warnings: [/api\.timeout \(line 7\)/, /alwaysLoad/, /headersHelper .*it is not run/, /oauth .*does not log in as a user/],
  },
  'claude-code/.claude.json': {
    client: 'Claude Code',
    backends: { sentry: { ...HTTP, url: 'https://mcp.sentry.dev/mcp' } },
    warnings: [/^projects \(line 7\): .*single projects are not served/, /^numStartups \(line 2\), .*belong to Claude Code/],
  },
  'cursor/.cursor/mcp.json': {
    client: 'Cursor',
    env: { API_KEY: 'k', MY_SERVICE_TOKEN: 't', HOME: '/home/ada' },
    backends: {
      local: {
        ...STDIO,
        command: 'python',
        args: [join(PASTED, 'cursor/tools/mcp_server.py'), '--cache', '/home/ada/.cache/mcp'],
        env: { API_KEY: 'k' },
      },
      remote: { ...HTTP, url: 'https://api.example.com/mcp', headers: { Authorization: 'Bearer t' } },
    },
    warnings: [/envFile .*are not read/, /auth .*does not log in/, /^\$\{workspaceFolder\} stands for .*pasted\/cursor$/],
  },
  'windsurf/mcp_config.json': {
    client: 'Windsurf',
    env: { GITHUB_TOKEN: 'g', AUTH_TOKEN: 'a' },
    backends: {
      github: {
        ...STDIO,
        command: 'npx',
        args: ['-y', '@modelcontextprotocol/server-github'],
        env: { GITHUB_PERSONAL_ACCESS_TOKEN: 'g' },
        tools: { include: ['*'], exclude: ['delete_file', 'merge_pull_request'] },
      },
      'remote-http-mcp': {
        ...HTTP,
        url: 'https://mcp.example.com/mcp',
        headers: { API_KEY: 'Bearer a', 'X-Key': 'key-from-a-file' },
      },
    },
    warnings: [],
  },
  'cline/cline_mcp_settings.json': {
    client: 'Cline',
    backends: {
      'local-server': { ...STDIO, command: 'node', args: ['/srv/server.js'], env: { API_KEY: 'k' } },
      'remote-server': {
        ...HTTP,
        url: 'https://your-server.example.com/mcp',
        headers: { Authorization: 'Bearer your-token' },
      },
      'older-server': { ...SSE, url: 'https://older.example.com/sse' },
    },
    warnings: [
      /alwaysAllow/,
      /autoApprove/,
      /timeout .*Write timeout: 60s/,
      /older-server .*as Cline does/,
      /switched-off .*disabled/,
    ],
  },
  'vscode/.vscode/mcp.json': {
    client: 'VS Code',
    env: { BERTH_INPUT_PERPLEXITY_KEY: 'pplx-secret', BERTH_INPUT_REGION: 'eu', BERTH_INPUT_TENNANT: 'x' },
    backends: {
      Perplexity: {
        ...STDIO,
        command: 'npx',
        args: ['-y', 'server-perplexity-ask', '--region=eu'],
        env: { PERPLEXITY_API_KEY: 'pplx-secret' },
      },
      github: { ...HTTP, url: 'https://api.githubcopilot.com/mcp/', headers: { 'X-MCP-Tenant': 'main' } },
      python: {
        ...STDIO,
        command: join(PASTED, 'vscode/.venv/bin/python'),
        args: ['-m', 'server'],
        cwd: join(PASTED, 'vscode'),
      },
    },
    warnings: [
      /envFile \(line 24\)/,
      /dev \(line 25\)/,
      /sandboxEnabled .*WITHOUT A SANDBOX/,
      /sandbox \(line 27\)/,
      /^input "tenant": its default "main" is taken; BERTH_INPUT_TENANT would set it$/,
      /^\$\{workspaceFolder\} stands for .*pasted\/vscode$/,
      /BERTH_INPUT_TENNANT: no .* uses it; did you mean BERTH_INPUT_TENANT\?$/,
    ],
  },
  'vscode/settings.json': {
    client: 'VS Code',
    env: { BERTH_INPUT_TOKEN: 'ghs-secret' },
    backends: { github: { ...HTTP, url: 'https://api.githubcopilot.com/mcp/', headers: { Authorization: 'Bearer ghs-secret' } } },
    warnings: [/^\["editor\.fontSize"\] \(line 2\), .*belong to VS Code; ignored$/],
  },
  'codex/config.toml': {
    client: 'Codex',
    env: { LOCAL_TOKEN: 'l', OTHER_TOKEN: 'o', FIGMA_OAUTH_TOKEN: 'f', FIGMA_TENANT: 'blue' },
    backends: {
      context7: {
        ...STDIO,
        command: 'npx',
        args: ['-y', '@upstash/context7-mcp'],
        env: { LOCAL_TOKEN: 'l', OTHER_TOKEN: 'o', MY_ENV_VAR: 'MY_ENV_VALUE' },
        timeout: 45_500,
        tools: { include: ['search', 'summarize'], exclude: ['summarize'] },
      },
      figma: {
        ...HTTP,
        url: 'https://mcp.figma.com/mcp',
        headers: { 'X-Figma-Region': 'us-east-1', 'X-Tenant': 'blue', Authorization: 'Bearer f' },
      },
    },
    warnings: [
      /^model \(line 1\), .*profiles \(line 8\), projects \(line 11\), features \(line 14\), tui \(line 45\): belong to Codex; ignored$/,
      /env_vars\[2\] \(line 20\): .*NOT_SET_HERE is not set; not passed on/,
      /startup_timeout_sec \(line 21\): ignored; limits\.startTimeout/,
      /figma\.required \(line 34\)/,
      /default_tools_approval_mode/,
      /figma\.tools \(line 37\)/,
      /"chrome devtools" is served as "chrome-devtools"/,
      /\["chrome devtools"\] \(line 40\): is disabled; not served/,
    ],
  },
  'gemini/.gemini/settings.json': {
    client: 'Gemini CLI',
    env: { DOCS_TOKEN: 'd' },
    backends: {
      docs: {
        ...HTTP,
        url: 'https://docs.example.com/mcp',
        headers: { Authorization: 'Bearer d' },
        tools: { include: ['search_docs', 'read_doc'], exclude: ['delete_doc'] },
      },
    },
    warnings: [/^mcp \(line 3\): .*ALL SERVERS ARE SERVED/, /^general \(line 2\): belongs to Gemini CLI/, /timeout/, /trust/],
  },
};

const load = (file: string, env: Record<string, string> = {}) => loadConfig({ file: join(PASTED, file), env, cwd: PASTED });

test.each(Object.entries(SAMPLES))('%s is understood as its client does', (file, { client, env, backends, warnings }) => {
  const loaded = load(file, env);
  expect(loaded.config.mcpServers).toEqual(backends);
  expect(loaded.config.servers).toEqual({});
  expect([...loaded.clients.keys()].sort()).toEqual(Object.keys(backends).sort());
  expect(new Set(loaded.clients.values())).toEqual(new Set([client]));
  expect(loaded.warnings).toEqual(warnings.map((pattern) => expect.stringMatching(pattern)));
});

test('a password is shown nowhere, wherever it was put; its variable may be a file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-pasted-'));
  try {
    const file = join(directory, 'mcp.json');
    const secret = join(directory, 'secret');
    writeFileSync(secret, 'p4ssw0rd\n');
    writeFileSync(
      file,
      JSON.stringify({
        inputs: [{ id: 'key', type: 'promptString', description: 'd', password: true }],
        servers: {
          a: { command: '/opt/${input:key}/run', args: ['connect', 'to:${input:key}@db'] },
          b: { type: 'http', url: 'http://x.example/${input:key}/mcp' },
        },
      }),
    );
    const { config, secrets } = loadConfig({ file, env: { BERTH_INPUT_KEY_FILE: 'secret' }, cwd: directory });
    expect(config.mcpServers).toMatchObject({
      a: { args: ['connect', 'to:p4ssw0rd@db'] },
      b: { url: 'http://x.example/p4ssw0rd/mcp' },
    });
    const shown = effectiveYaml(config, secrets);
    expect(shown).not.toContain('p4ssw0rd');
    expect(shown).toContain('to:***@db');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('what a caller of the gateway has in the environment for its clients does not keep it from starting', () => {
  expect(load('claude-code/.claude.json', { BERTH_TOKEN: 'of-a-client' }).warnings).toHaveLength(2);
});
