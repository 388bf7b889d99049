// YAML: its value, and the line of every part of it.
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document as YamlDocument } from 'yaml';
import type { ParsedFile } from './parse-file.js';
import { configError, type Path } from './problems.js';

/** @throws StartError 78 with line and column, never with a value */
export function parseYaml(text: string, file: string): ParsedFile {
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
