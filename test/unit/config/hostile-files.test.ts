// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// Files that somebody made to break what reads them, or that hold a secret where none belongs.
import { refusal } from './load-text.js';

const BRACKETS = 100_000;

test.each([
  ['JSON', 'a.json', `{"mcpServers":${'['.repeat(BRACKETS)}${']'.repeat(BRACKETS)}}`],
  ['TOML', 'a.toml', `a = ${'['.repeat(BRACKETS)}${']'.repeat(BRACKETS)}`],
  ['less than its parser bears', 'a.json', `{"mcpServers":{"a":{"command":${'['.repeat(200)}${']'.repeat(200)}}}}`],
  ['YAML that holds itself', 'a.yaml', 'hosts: &a [*a, *a]'],
])('brackets without end are told: %s', (_name, name, text) => {
  expect(refusal(text, { name })).toMatch(/nested/);
});

test.each([
  ['at the top', 'a.json', '{"__proto__":{"listen":"0.0.0.0:80"}}', '__proto__ (line 1): this name cannot be used'],
  ['as a server', 'a.toml', '[mcp_servers.__proto__]\ncommand = "x"', 'mcp_servers.__proto__ (line 1): this name cannot be used'],
  ['in a server', 'a.json', '{"mcpServers":{"a":{"command":"x","__proto__":{"url":"y"}}}}', 'a.__proto__ (line 1): this name'],
  ['in env', 'a.yaml', 'mcpServers: { a: { command: x, env: { __proto__: y } } }', 'env.__proto__ (line 1): this name'],
])('a key that is none in JavaScript is told, not dropped: %s', (_name, name, text, told) => {
  expect(refusal(text, { name })).toContain(told);
});

test.each(['${TOKEN:=hunter2}', '${MY TOKEN:-hunter2}', '${env:TOKEN-hunter2}', '${sk-hunter2}'])(
  'what follows the name in %s may be a secret: it is not told',
  (reference) => {
    const told = refusal(`mcpServers: { a: { command: x, args: ["${reference}"] } }`);
    expect(told).toContain(`${/^\$\{\w+/.exec(reference)?.[0]}…} is not a reference`);
    expect(told).not.toContain('hunter2');
  },
);

test('an option of another type of backend is not taken for itself misspelt', () => {
  expect(refusal('mcpServers: { a: { command: x, headers: { X: y } } }')).toMatch(/a\.headers .*\n.*another type/);
});

test.each(['https://user:pw@h.example', 'https://h.example/?x=1', 'https://h.example/#x'])(
  'no URL of an endpoint can be made from publicUrl %s',
  (url) => {
    expect(refusal(`publicUrl: "${url}"`)).toContain('publicUrl (line 1): expected a URL without user, query and fragment');
  },
);
