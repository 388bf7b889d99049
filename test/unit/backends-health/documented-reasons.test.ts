// The reasons that callers, logs and metrics can show are a closed list, and docs/backends.md explains each of them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../../../src/backends/http/transport-error.js';

const ROOT = join(__dirname, '../../..');
const CODES = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ECONNRESET',
  'UND_ERR_DESTROYED',
  'EPROTO',
  'Z_DATA_ERROR',
];

function sources(): string {
  const dir = join(ROOT, 'src/backends');
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return files.map((file) => readFileSync(join(dir, file), 'utf8')).join('\n');
}

function used(): Set<string> {
  const text = sources();
  const found = new Set<string>(CODES.map((code) => reasonOf(Object.assign(new Error(), { code }))));
  // unavailable(name, 'reason') and its like; reason: 'reason'; the union of what a child can fail with.
  for (const [, word] of text.matchAll(/(?:unavailable|outcomeUnknown|breakOff)\([^'\n]*,\s*'([a-z_]+)'/g))
    found.add(word as string);
  for (const [, word] of text.matchAll(/reason: '([a-z_]+)'/g)) found.add(word as string);
  const union = /type ChildFailure =([^;]+);/.exec(text)?.[1] ?? '';
  for (const [, word] of union.matchAll(/'([a-z_]+)'/g)) found.add(word as string);
  return found;
}

function documented(): Set<string> {
  const table = readFileSync(join(ROOT, 'docs/backends.md'), 'utf8').split('### Reasons')[1] ?? '';
  const cells = table.split('\n').flatMap((line) => (line.startsWith('| `') ? [line.split('|')[1] as string] : []));
  return new Set(cells.flatMap((cell) => [...cell.matchAll(/`([a-z_0-9]+)`/g)].map(([, word]) => word as string)));
}

test('every reason has a row in docs/backends.md', () => {
  const words = used();
  expect(words.size).toBeGreaterThan(20);
  const rows = documented();
  expect([...words].filter((word) => !rows.has(word))).toEqual([]);
});
