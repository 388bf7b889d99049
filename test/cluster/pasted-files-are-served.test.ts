// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of clients are written like templates
// A file of each family of clients, served as it is with a real backend; and whoever pastes what the gateway prints gets in.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { loadText } from '../unit/config/load-text.js';
import { askAdmin } from '../support/admin.js';
import { type Pod, startPod } from '../support/pod.js';
import { connectSdkClient } from '../support/sdk-client.js';
import { StrictBackend } from '../support/strict-backend.js';

const FIXTURES = join(__dirname, '../support/fixtures');
const BACKEND = join(FIXTURES, 'stdio-backend.mjs');
const KEY = 'key-of-alice-0123456789';
/** At the server of the snippets. */
const TOOL = 'remote__lookup';
const DIGEST = createHash('sha256').update(KEY).digest('hex');

const codexFile = (remote: string) => `model = "gpt-5.4-codex" # what else a Codex user has
[mcp_servers.tools]
command = "node"
args = [${JSON.stringify(BACKEND)}]
enabled_tools = ["echo", "whoami", "counter"]
disabled_tools = ["counter"]
tool_timeout_sec = 30
[mcp_servers.off]
command = "no-such-program"
enabled = false
[mcp_servers.remote]
url = "${remote}"
[servers.light] # options of ours in the same file
backends = ["remote"]
prefix = "always"
[auth]
mode = "keys"
keys = [{ id = "alice", sha256 = "${DIGEST}" }]
`;
const VS_CODE = `{
  "inputs": [{ "type": "promptString", "id": "backend-file", "description": "Where it is" },
    { "type": "promptString", "id": "tenant", "password": true }],
  "servers": { "tools": { "type": "stdio", "command": "node", "args": ["\${input:backend-file}"], "cwd": "\${workspaceFolder}", },
    "hosted": { "url": "http://127.0.0.1:9/of/\${input:tenant}/mcp" }, },
}`;
const INPUTS = { BERTH_INPUT_BACKEND_FILE: BACKEND, BERTH_INPUT_TENANT: 'opensesame' };
const CLAUDE = JSON.stringify({
  mcpServers: { tools: { command: 'node', args: ['${FIXTURES_DIR:-/nowhere}/stdio-backend.mjs'], alwaysAllow: ['echo'] } },
  globalShortcut: '',
});

let remote: StrictBackend;
let codex: Pod;
let others: Pod[];
beforeAll(async () => {
  remote = await StrictBackend.start({ tools: [{ name: 'lookup', inputSchema: { type: 'object' } }] });
  [codex, ...others] = (await Promise.all([
    startPod({ config: {}, pasted: { path: 'config.toml', text: codexFile(remote.url) }, args: ['--snippets', 'always'] }),
    startPod({ config: {}, pasted: { path: '.vscode/mcp.json', text: VS_CODE }, env: INPUTS }),
    startPod({ config: {}, pasted: { path: 'claude_desktop_config.json', text: CLAUDE }, env: { FIXTURES_DIR: FIXTURES } }),
  ])) as [Pod, Pod, Pod];
}, 180_000);
afterAll(async () => {
  await Promise.all([codex, ...(others ?? [])].map((pod) => pod?.dispose()));
  await remote?.close();
}, 60_000);

async function toolsAt(url: string, headers: Record<string, string> = {}): Promise<string[]> {
  const session = await connectSdkClient(url, { headers });
  try {
    return (await session.client.listTools()).tools.map(({ name }) => name);
  } finally {
    await session.end();
  }
}

test('files of VS Code and Claude Desktop: a call reaches the command', async () => {
  for (const pod of others) {
    const session = await connectSdkClient(pod.url('/servers/tools/mcp'));
    expect(await session.callText('echo', { nonce: 'n', text: 'hello' })).toContain('hello');
    await session.end();
  }
});

test('a password in a URL is shown neither by the admin API nor in the log', async () => {
  const [pod] = others as [Pod];
  const { body } = await askAdmin(pod, '/api/backends');
  expect(body).toMatchObject({ backends: [{}, { name: 'hosted', url: 'http://127.0.0.1:9/of/***/mcp' }] });
  expect(JSON.stringify(pod.logs())).not.toContain(INPUTS.BERTH_INPUT_TENANT);
});

test('a file of Codex: its lists of tools hold at every endpoint, for lists and for calls', async () => {
  const headers = { 'x-api-key': KEY };
  expect((await toolsAt(codex.url('/servers/tools/mcp'), headers)).sort()).toEqual(['echo', 'whoami']);
  const session = await connectSdkClient(codex.url('/mcp'), { headers });
  expect(
    (await session.client.listTools()).tools.filter(({ name }) => /^(tools__)?(echo|whoami|counter)$/.test(name)),
  ).toHaveLength(2);
  const refused = await session.client.callTool({ name: 'counter', arguments: { nonce: 'n' } }).catch((error: Error) => error);
  expect(refused).toBeInstanceOf(Error);
  await session.end();
});

test('where the log is JSON nothing else is printed, and one line names the URLs', () => {
  for (const pod of others) {
    expect(pod.logs().filter((line) => 'unparsed' in line)).toEqual([]);
    expect(pod.logs().filter(({ urls }) => urls !== undefined)).toHaveLength(1);
  }
});

describe('what is printed when the gateway is ready', () => {
  const env = { BERTH_TOKEN: KEY, BERTH_INPUT_BERTH_KEY: KEY };
  /** By the title of the client. */
  const printed = () => {
    // A snippet of one line is JSON, as the lines of the log are.
    const isSnippet = (line: object) => 'mcpServers' in line || 'servers' in line;
    const lines = codex.logs().flatMap((line) => {
      if (typeof line.unparsed === 'string') return [line.unparsed];
      return isSnippet(line) ? [`  ${JSON.stringify(line)}`] : [];
    });
    const blocks = new Map<string, string>();
    let title: string | undefined;
    for (const line of lines) {
      const [, name] = /^(\S.*) \(.*\):$/.exec(line) ?? [];
      if (name !== undefined || !line.startsWith('  ')) title = name;
      else if (title !== undefined) blocks.set(title, `${blocks.get(title) ?? ''}${line.slice(2)}\n`);
    }
    return blocks;
  };
  const of = (client: string) => {
    const text = printed().get(client);
    if (text === undefined) throw new Error(`nothing for ${client} in ${[...printed().keys()]}`);
    return text.replaceAll('YOUR-KEY', KEY);
  };

  test.each([
    ['Cursor', 'mcp.json'],
    ['Windsurf', 'mcp_config.json'],
    ['Cline', 'cline_mcp_settings.json'],
    ['VS Code', 'mcp.json'],
    ['Codex', 'config.toml'],
  ])('%s gets in with it', async (client, name) => {
    const { config } = loadText(of(client), { name, env });
    const [backend] = Object.values(config.mcpServers);
    if (backend?.type !== 'http') throw new Error(`not one http backend: ${JSON.stringify(config.mcpServers)}`);
    expect(backend.url).toBe(codex.url('/servers/light/mcp'));
    expect(await toolsAt(backend.url, backend.headers)).toContain(TOOL);
  });

  test('Claude Code gets in with it', async () => {
    const script = `claude() { for one in "$@"; do printf '%s\\n' "$one"; done; }; ${of('Claude Code')}`;
    const args = execFileSync('sh', ['-c', script], { encoding: 'utf8', env }).trimEnd().split('\n');
    const [name = '', value = ''] = (args.at(-1) as string).split(': ');
    expect(await toolsAt(args[5] as string, { [name]: value })).toContain(TOOL);
  });

  test('Claude Desktop gets in with it, through the bridge', async () => {
    const { mcpServers } = JSON.parse(of('Claude Desktop'));
    const client = new Client({ name: 'desktop', version: '1.0.0' });
    const [entry] = Object.values(mcpServers) as Array<{ command: string; args: string[]; env: Record<string, string> }>;
    await client.connect(new StdioClientTransport({ ...(entry as NonNullable<typeof entry>), stderr: 'ignore' }));
    try {
      expect((await client.listTools()).tools.map((tool) => tool.name)).toContain(TOOL);
    } finally {
      await client.close();
    }
  });
});
