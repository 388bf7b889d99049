// A configuration file read as YAML or as JSON with comments: its value, and the line of every part of it.
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { type Node as JsonTree, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document as YamlDocument } from 'yaml';
import { EXIT, StartError } from '../errors/start-error.js';
import { configError, type Path, type Problem, pathText } from './problems.js';

export interface ParsedFile {
  readonly value: unknown;
  /** The line (from 1) of the deepest part of the path that exists; undefined for the top level. */
  readonly lineOf: (path: Path) => number | undefined;
  readonly warnings: readonly string[];
}

/**
 * Reads and parses by extension: .json and .jsonc with comments, all else YAML.
 * @throws StartError 78 if it cannot be read or parsed, with line and column
 */
export function parseFile(file: string): ParsedFile {
  const extension = extname(file).toLowerCase();
  if (extension === '.toml') {
    throw new StartError(
      EXIT.config,
      `${file}: TOML is not supported yet.\n  Write the same as YAML or JSON: see docs/configuration.md.`,
    );
  }
  return parseText(readText(file), file);
}

/** @throws StartError 78 with line and column, never with a value */
export function parseText(text: string, file: string): ParsedFile {
  const extension = extname(file).toLowerCase();
  return extension === '.json' || extension === '.jsonc' ? parseJson(text, file) : parseYaml(text, file);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EISDIR'
          ? 'this is a directory'
          : `it cannot be read (${code ?? String(cause)})`;
    throw new StartError(EXIT.config, `Configuration file ${file}: ${why}.\n  Check the path and the permissions.`, { cause });
  }
}

function parseYaml(text: string, file: string): ParsedFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `line ${line}, column ${col}`;
  };
  // The first lines of the parser's message; the rest draws the source, which may hold a secret.
  const sentence = (message: string) => (message.split('\n')[0] as string).replace(/ at line \d+, column \d+:?$/, '');
  if (document.errors.length) {
    throw configError(
      document.errors.map((error) => ({
        where: at(error.pos[0]),
        message: sentence(error.message),
        remedy: 'Check indentation, quotes and brackets there.',
      })),
      file,
    );
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw configError(
      [{ where: 'the file', message: sentence((cause as Error).message), remedy: 'Check its anchors and aliases.' }],
      file,
    );
  }
  return {
    value,
    lineOf: (path) => {
      const offset = yamlOffset(document, path);
      return offset === undefined ? undefined : lines.linePos(offset).line;
    },
    warnings: document.warnings.map((warning) => `${file} (${at(warning.pos[0])}): ${sentence(warning.message)}`),
  };
}

function yamlOffset(document: YamlDocument, path: Path): number | undefined {
  let offset: number | undefined;
  let node: unknown = document.contents;
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => String(isScalar(item.key) ? item.key.value : item.key) === String(part));
      if (!pair) break;
      offset = (isScalar(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part];
      offset = (node as { range?: [number, number, number] } | undefined)?.range?.[0] ?? offset;
    } else break;
  }
  return offset;
}

function parseJson(text: string, file: string): ParsedFile {
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
