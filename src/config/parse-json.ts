// JSON with comments and trailing commas: its value, and the line of every part of it.
import { type Node as JsonTree, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import type { ParsedFile } from './parse-file.js';
import { configError, type Path, type Problem, pathText } from './problems.js';

/** @throws StartError 78 with line and column, never with a value */
export function parseJson(text: string, file: string): ParsedFile {
  const position = (offset: number) => {
    const before = text.slice(0, offset).split('\n');
    return { line: before.length, column: (before.at(-1) as string).length + 1 };
  };
  const errors: ParseError[] = [];
  const tree = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false, allowEmptyContent: true });
  const problems: Problem[] = errors.map((error) => {
    const { line, column } = position(error.offset);
    const words = printParseErrorCode(error.error)
      .replace(/([a-z])([A-Z])/g, '$1 $2')
      .toLowerCase();
    return { where: `line ${line}, column ${column}`, message: words, remedy: 'Check commas, quotes and brackets there.' };
  });
  const value = tree && !errors.length ? jsonValue(tree, [], problems, (offset) => position(offset).line) : undefined;
  if (problems.length) throw configError(problems, file);
  return {
    value,
    lineOf: (path) => {
      const offset = jsonOffset(tree, path);
      return offset === undefined ? undefined : position(offset).line;
    },
    warnings: [],
  };
}

/** The value of a tree; unlike JSON.parse it tells of a key that is given twice, of which one would silently win. */
function jsonValue(node: JsonTree, path: Path, problems: Problem[], lineAt: (offset: number) => number): unknown {
  if (node.type === 'array') return (node.children ?? []).map((child, i) => jsonValue(child, [...path, i], problems, lineAt));
  if (node.type !== 'object') return node.value;
  const entries = new Map<string, unknown>();
  for (const { children: [key, value] = [] } of node.children ?? []) {
    if (!key || !value) continue;
    const name = String(key.value);
    const where = [...path, name];
    if (entries.has(name)) {
      const message = 'the key is given twice';
      problems.push({ where: `${pathText(where)} (line ${lineAt(key.offset)})`, message, remedy: 'Remove one of the two.' });
    }
    entries.set(name, jsonValue(value, where, problems, lineAt));
  }
  return Object.fromEntries(entries);
}

function jsonOffset(tree: JsonTree | undefined, path: Path): number | undefined {
  let offset: number | undefined;
  let node = tree;
  for (const part of path) {
    if (node?.type === 'object') {
      const property = node.children?.find((child) => child.children?.[0]?.value === part);
      if (!property) break;
      offset = property.offset;
      node = property.children?.[1];
    } else if (node?.type === 'array' && typeof part === 'number') {
      node = node.children?.[part];
      offset = node?.offset ?? offset;
    } else break;
  }
  return offset;
}
