// Places in TOML, which the parser does not tell.
import { parse } from 'smol-toml';
import { readTomlLines } from '../../../src/config/toml-lines.js';

const TEXT = `# a comment with [a.table]
top = 1
"quoted key" = """
[not.a.table]
key = "no" \\"""
""""
lit = '''
x = 1'''

[a."b.c".d] # [no]
e.f = [ 1, # one
  { g = "]" , 'h' = 2 },
]
when = 1979-05-27 07:32:00

[[list]]
n = 1
[list.sub]
m = "\\u0041"
[[list]]
n = 2
`;

it('finds the line of every key, table and element', () => {
  const value = parse(TEXT);
  const lines = readTomlLines(TEXT);
  const lineOf = (...path: Array<string | number>) => lines.get(JSON.stringify(path));
  expect(lineOf('top')).toBe(2);
  expect(lineOf('quoted key')).toBe(3);
  expect(lineOf('lit')).toBe(7);
  expect(lineOf('a', 'b.c', 'd')).toBe(10);
  expect(lineOf('a', 'b.c', 'd', 'e', 'f', 0)).toBe(11);
  expect(lineOf('a', 'b.c', 'd', 'e', 'f', 1, 'h')).toBe(12);
  expect(lineOf('a', 'b.c', 'd', 'when')).toBe(14);
  expect(lineOf('list', 0, 'n')).toBe(17);
  expect(lineOf('list', 0, 'sub', 'm')).toBe(19);
  expect(lineOf('list', 1, 'n')).toBe(21);
  // Exactly what the parser finds, nothing out of strings and comments.
  expect([...lines.keys()].sort()).toEqual([...pathsOf(value)].sort());
});

function* pathsOf(value: unknown, path: readonly (string | number)[] = []): Generator<string> {
  if (path.length) yield JSON.stringify(path);
  if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* pathsOf(item, [...path, i]);
  else if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    for (const [key, inner] of Object.entries(value)) yield* pathsOf(inner, [...path, key]);
  }
}
