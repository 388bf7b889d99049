// TOML: its value, and the line of every part of it.
import { parse, TomlDate, TomlError } from 'smol-toml';
import type { ParsedFile } from './parse-file.js';
import { configError } from './problems.js';
import { readTomlLines } from './toml-lines.js';

/** @throws StartError 78 with line and column, never with a value */
export function parseToml(text: string, file: string): ParsedFile {
  let value: unknown;
  try {
    value = plain(parse(text));
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    throw configError([syntaxProblem(cause)], file);
  }
  const lines = readTomlLines(text);
  return {
    value,
    lineOf: (path) => {
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(JSON.stringify(path.slice(0, length)));
        if (line !== undefined) return line;
      }
      return undefined;
    },
    warnings: [],
  };
}

/** Of the parser's message the sentence alone: the rest draws the source, which may hold a secret. */
function syntaxProblem({ message, line, column }: TomlError) {
  const sentence = (message.split('\n')[0] as string).replace(/^Invalid TOML document: /, '');
  const isDouble = sentence.includes('redefine');
  return {
    where: `line ${line}, column ${column}`,
    message: isDouble ? 'this table or key is given twice' : sentence,
    remedy: isDouble ? 'Remove one of the two, or give it another name.' : 'Check quotes, brackets and "=" there.',
  };
}

/** Tables as ordinary objects, dates as their text. */
function plain(value: unknown): unknown {
  if (value instanceof TomlDate) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
