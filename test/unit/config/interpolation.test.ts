// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// References in string values, replaced after parsing.
import { loadText, refusal } from './load-text.js';

const header = (value: string) => `mcpServers: { a: { url: "http://x/mcp", headers: { X: '${value}' } } }`;
const loaded = (value: string, env: Record<string, string> = {}) => {
  const backend = loadText(header(value), { env }).config.mcpServers.a;
  return backend?.type === 'http' ? backend.headers.X : undefined;
};

describe('a reference', () => {
  test.each([
    ['a set variable', 'Bearer ${TOKEN}', { TOKEN: 't' }, 'Bearer t'],
    ['the form of VS Code', '${env:TOKEN}', { TOKEN: 't' }, 't'],
    ['two of them', '${A}-${B}', { A: '1', B: '2' }, '1-2'],
    ['a default', '${TOKEN:-none}', {}, 'none'],
    ['a default for an empty variable', '${TOKEN:-none}', { TOKEN: '' }, 'none'],
    ['an empty default', 'x${TOKEN:-}', {}, 'x'],
    ['a default that holds a colon', '${U:-http://y:1}', {}, 'http://y:1'],
    ['an empty variable', 'x${TOKEN}', { TOKEN: '' }, 'x'],
    ['a literal', '$${TOKEN}', { TOKEN: 't' }, '${TOKEN}'],
    ['a dollar alone', 'cost $5 $HOME', {}, 'cost $5 $HOME'],
    ['what a variable holds is not read again', '${A}', { A: '${B}', B: 'no' }, '${B}'],
  ])('takes %s', (_name, text, env, expected) => {
    expect(loaded(text, env as Record<string, string>)).toBe(expected);
  });

  test('cannot change the structure of the file', () => {
    expect(loaded('${A}', { A: "x', other: 'y" })).toBe("x', other: 'y");
  });

  test.each([
    ['an unset variable', '${NOPE}', 'the environment variable NOPE is not set', 'Set NOPE, or write ${NOPE:-default}'],
    ['an input that is not declared', '${input:api-key}', 'there is no input "api-key"', 'Add { id: "api-key"'],
    ['a file that is not there', '${file:/no/such/file}', '/no/such/file cannot be read (ENOENT)', 'Check the path'],
    ['another form', '${a b}', 'not a reference that is understood', '${NAME:-default}'],
    ['an open brace', '${A', '"${" without its "}"', 'Close it'],
    ['a name of the object prototype', '${constructor}', 'the environment variable constructor is not set', 'Set constructor'],
  ])('to %s is an error that names place and remedy', (_name, text, message, remedy) => {
    const refused = refusal(header(text));
    expect(refused).toContain('mcpServers.a.headers.X (line 1)');
    expect(refused).toContain(message);
    expect(refused).toContain(remedy);
  });

  test('becomes a number or a boolean where the option wants one', () => {
    const { config } = loadText('workers: "${W}"\nexpose: { all: "${E}" }\nsessions: { max: "${M}" }', {
      env: { W: '3', E: 'false', M: '7' },
    });
    expect([config.workers, config.expose.all, config.sessions.max]).toEqual([3, false, 7]);
  });

  test('of a value that the environment replaces need not exist', () => {
    const { config } = loadText('admin: { token: "${SOME_TOKEN}" }', { env: { BERTH_ADMIN_TOKEN: 'a' } });
    expect(config.admin.token).toBe('a');
  });

  test('in a disabled backend need not exist', () => {
    const { config } = loadText('mcpServers: { a: { command: "${NOPE}", disabled: true } }');
    expect(config.mcpServers).toEqual({});
  });

  test('to a variable of the user that begins with BERTH_ makes it known', () => {
    expect(loaded('${BERTH_MY_TOKEN}', { BERTH_MY_TOKEN: 't' })).toBe('t');
  });
});
