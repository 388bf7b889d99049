// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of clients are written like templates
// What one pastes into a client to reach an endpoint, in that client's own words. Each works as it is printed; where the gateway wants a
// key, it is asked for in the way that the client knows, or stands there as a placeholder.
import { stringify as toToml } from 'smol-toml';
import type { SnippetClient } from './snippet-clients.js';

/** Holds the key in the environment of a client; the bridge reads it, too. */
const KEY_VARIABLE = 'BERTH_TOKEN';
const KEY_PLACEHOLDER = 'YOUR-KEY';

export interface Snippet {
  readonly client: SnippetClient;
  /** As its users call it. */
  readonly title: string;
  /** Where it belongs: a file, or `a shell`. */
  readonly place: string;
  readonly format: 'shell' | 'json' | 'toml';
  readonly text: string;
}

export interface SnippetFacts {
  /** What the client will call the server. */
  readonly name: string;
  readonly url: string;
  readonly needsKey: boolean;
  readonly bridge: BridgeCommand;
}

/** What runs the bridge; `stdio URL` follows. */
export interface BridgeCommand {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * Installed as a package: through npx, which finds it again after an update. In a clone: this very program.
 * @param script path of main.js
 */
export function bridgeCommand(script: string, execPath: string): BridgeCommand {
  const isInstalled = /[\\/]node_modules[\\/]berth-mcp[\\/]/.test(script);
  return isInstalled ? { command: 'npx', args: ['-y', 'berth-mcp'] } : { command: execPath, args: [script] };
}

/** @param indent of JSON; default: one line */
export function makeSnippets({ name, url, needsKey, bridge }: SnippetFacts, indent?: number): Snippet[] {
  const json = (value: unknown) => JSON.stringify(value, undefined, indent);
  const bearer = (key: string) => (needsKey ? { headers: { Authorization: `Bearer ${key}` } } : {});
  const servers = (entry: object) => json({ mcpServers: { [name]: entry } });
  const desktop = {
    command: bridge.command,
    args: [...bridge.args, 'stdio', url],
    ...(needsKey ? { env: { [KEY_VARIABLE]: KEY_PLACEHOLDER } } : {}),
  };
  const inputId = 'berth-key';
  const inputs = [{ type: 'promptString', id: inputId, description: 'Key of the gateway', password: true }];
  const codex = { url, ...(needsKey ? { bearer_token_env_var: KEY_VARIABLE } : {}) };
  return [
    {
      client: 'claude-code',
      title: 'Claude Code',
      place: 'a shell',
      format: 'shell',
      // The header comes last: its option takes all that follows.
      text: `claude mcp add --transport http ${name} ${quote(url)}${needsKey ? ` --header "Authorization: Bearer $${KEY_VARIABLE}"` : ''}`,
    },
    {
      client: 'claude-desktop',
      title: 'Claude Desktop',
      place: 'claude_desktop_config.json',
      format: 'json',
      text: servers(desktop),
    },
    {
      client: 'cursor',
      title: 'Cursor',
      place: '.cursor/mcp.json',
      format: 'json',
      text: servers({ url, ...bearer(`\${env:${KEY_VARIABLE}}`) }),
    },
    {
      client: 'windsurf',
      title: 'Windsurf',
      place: 'mcp_config.json',
      format: 'json',
      text: servers({ serverUrl: url, ...bearer(`\${env:${KEY_VARIABLE}}`) }),
    },
    {
      client: 'cline',
      title: 'Cline',
      place: 'cline_mcp_settings.json',
      format: 'json',
      text: servers({ type: 'streamableHttp', url, ...bearer(KEY_PLACEHOLDER) }),
    },
    {
      client: 'vscode',
      title: 'VS Code',
      place: '.vscode/mcp.json',
      format: 'json',
      text: json({
        servers: { [name]: { type: 'http', url, ...bearer(`\${input:${inputId}}`) } },
        ...(needsKey ? { inputs } : {}),
      }),
    },
    {
      client: 'codex',
      title: 'Codex',
      place: '~/.codex/config.toml',
      format: 'toml',
      text: toToml({ mcp_servers: { [name]: codex } }).trim(),
    },
  ];
}

/** Blocks of a title and indented lines, with an empty line between them. */
export function formatSnippets(snippets: readonly Snippet[]): string {
  return snippets
    .map(({ title, place, text }) => {
      const lines = text.split('\n').map((line) => (line ? `  ${line}` : ''));
      return `${title} (${place}):\n${lines.join('\n')}\n`;
    })
    .join('\n');
}

/** What has to be done about keys before any of them works; '' without keys. */
export const keyNote = (needsKey: boolean): string =>
  needsKey
    ? `The gateway wants a key: set ${KEY_VARIABLE} to yours, or put it where ${KEY_PLACEHOLDER} stands (docs/auth.md).\n`
    : '';

/** As a shell takes it for one word. */
export const quote = (text: string): string => (/^[\w:/.@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
