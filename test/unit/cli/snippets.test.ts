// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of clients are written like templates
// What is printed for a client, read back by our own reader of that client's files: one backend, the URL, the key.
import { execFileSync } from 'node:child_process';
import { basename } from 'node:path';
import { bridgeCommand, formatSnippets, makeSnippets } from '../../../src/cli/snippets.js';
import { loadText } from '../config/load-text.js';

const URL_TEXT = 'https://mcp.example.com/gate/servers/support/mcp';
const bridge = { command: '/opt/node', args: ['/opt/berth/dist/main.js'] };
const facts = { name: 'support', url: URL_TEXT, needsKey: false, bridge };

describe.each([
  ['without keys', false],
  ['with keys', true],
])('a snippet %s', (_name, needsKey) => {
  const snippets = makeSnippets({ ...facts, needsKey });

  test.each(snippets.filter(({ format }) => format !== 'shell').map((snippet) => [snippet.client, snippet] as const))(
    'for %s is one backend in its own words',
    (client, { place, text }) => {
      const env = { BERTH_TOKEN: 'the-key', BERTH_INPUT_BERTH_KEY: 'the-key' };
      const { config, warnings } = loadText(text.replaceAll('YOUR-KEY', 'the-key'), { name: basename(place), env });
      expect(Object.keys(config.mcpServers)).toEqual(['support']);
      if (client === 'claude-desktop') {
        expect(config.mcpServers.support).toMatchObject({
          type: 'stdio',
          command: '/opt/node',
          args: ['/opt/berth/dist/main.js', 'stdio', URL_TEXT],
          env: needsKey ? { BERTH_TOKEN: 'the-key' } : {},
        });
      } else {
        const headers = needsKey ? { Authorization: 'Bearer the-key' } : {};
        expect(config.mcpServers.support).toMatchObject({ type: 'http', url: URL_TEXT });
        expect(config.mcpServers.support).toHaveProperty('headers', headers);
      }
      expect(warnings.filter((warning) => !warning.includes('BERTH_INPUT_'))).toEqual([]);
    },
  );

  test('for Claude Code is a command with whole arguments', () => {
    const text = snippets.find(({ client }) => client === 'claude-code')?.text ?? '';
    expect(argumentsOf(text)).toEqual([
      ...['mcp', 'add', '--transport', 'http', 'support', URL_TEXT],
      ...(needsKey ? ['--header', 'Authorization: Bearer the-key'] : []),
    ]);
  });

  test('holds no key of anybody', () => {
    if (!needsKey) expect(formatSnippets(snippets)).not.toMatch(/BERTH_TOKEN|YOUR-KEY|Authorization/);
    else expect(formatSnippets(snippets)).not.toContain('the-key');
  });
});

test('a URL that a shell would cut up stays one argument', () => {
  const url = "http://h:1/mcp?a=1&b=$HOME'x";
  const text = makeSnippets({ ...facts, url })[0]?.text ?? '';
  expect(argumentsOf(text).at(-1)).toBe(url);
});

test.each([
  ['/srv/berth/dist/main.js', { command: '/opt/node', args: ['/srv/berth/dist/main.js'] }],
  ['/usr/lib/node_modules/berth-mcp/dist/main.js', { command: 'npx', args: ['-y', 'berth-mcp'] }],
])('the bridge of %s is started as one can there', (script, expected) => {
  expect(bridgeCommand(script, '/opt/node')).toEqual(expected);
});

/** What a shell hands over. */
function argumentsOf(command: string): string[] {
  const script = `claude() { for one in "$@"; do printf '%s\\n' "$one"; done; }; ${command}`;
  return execFileSync('sh', ['-c', script], { encoding: 'utf8', env: { BERTH_TOKEN: 'the-key' } })
    .trimEnd()
    .split('\n');
}
