// A configuration file read as YAML, JSON with comments or TOML: its value, and the line of every part of it.
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { EXIT, StartError } from '../errors/start-error.js';
import { TOO_DEEP } from './check-shape.js';
import { parseJson } from './parse-json.js';
import { parseToml } from './parse-toml.js';
import { parseYaml } from './parse-yaml.js';
import { configError, type Path } from './problems.js';

export interface ParsedFile {
  readonly value: unknown;
  /** The line (from 1) of the deepest part of the path that exists; undefined for the top level. */
  readonly lineOf: (path: Path) => number | undefined;
  readonly warnings: readonly string[];
}

/**
 * Reads and parses by extension: .json and .jsonc with comments, .toml, all else YAML.
 * @throws StartError 78 if it cannot be read or parsed, with line and column
 */
export const parseFile = (file: string): ParsedFile => parseText(readText(file), file);

/** @throws StartError 78 with line and column, never with a value */
export function parseText(text: string, file: string): ParsedFile {
  try {
    return parserOf(file)(text, file);
  } catch (error) {
    // Out of stack: parsers call themselves for each bracket.
    if (error instanceof RangeError) throw configError([{ where: 'the file', ...TOO_DEEP }], file);
    throw error;
  }
}

function parserOf(file: string): typeof parseYaml {
  const extension = extname(file).toLowerCase();
  if (extension === '.json' || extension === '.jsonc') return parseJson;
  return extension === '.toml' ? parseToml : parseYaml;
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
