// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// What `berth check` prints can be written to a file again, whatever is in the configuration, and holds none of its secrets.
import { report } from '../../../src/cli/check-report.js';
import { loadText, type TextOptions } from '../config/load-text.js';

const check = (config: object, options?: TextOptions) => report(loadText(JSON.stringify(config), { name: 'a.json', ...options }));

test('a script of many lines stays one comment', () => {
  const text = check({ mcpServers: { 'a\nb\u001b[31m': { command: 'sh', args: ['-c', 'first\nlisten: 0.0.0.0:80'] } } });
  const [comments = ''] = text.split('\n\n');
  for (const line of comments.split('\n')) expect(line).toMatch(/^#/);
  expect(comments).toContain('sh -c first\\nlisten: 0.0.0.0:80');
  expect(comments).not.toContain('\u001b');
  expect(loadText(text).config.listen).toBe('127.0.0.1:8080');
});

test('a password of a few characters is hidden where it is an argument', () => {
  const text = check(
    {
      mcpServers: { a: { command: 'x', args: ['--slot', '${input:pin}'] } },
      inputs: [{ id: 'pin', type: 'promptString', password: true }],
    },
    { env: { BERTH_INPUT_PIN: '739' } },
  );
  expect(text).toContain('x --slot ***');
  expect(text).not.toContain('739');
});

test('names of what every object has are names', () => {
  const text = check({ mcpServers: { constructor: { command: 'x' }, toString: { command: 'y' } } });
  expect(text).toContain('/servers/constructor/mcp: constructor; all tools\n');
  expect(text).not.toContain('undefined');
});
