// What is wrong with a configuration, gathered so that all of it is told at once.
import { EXIT, StartError } from '../errors/start-error.js';

export interface Problem {
  /** Where: an option's path with its line, a variable, or a flag. */
  readonly where: string;
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string | undefined;
}

export type Path = readonly (string | number)[];

/** Where a step of reading puts what it finds. */
export interface Findings {
  readonly problems: Problem[];
  readonly warnings: string[];
  /** The place in the file, with its line. */
  readonly placeOf: (path: Path) => string;
}

const PLAIN_KEY = /^[A-Za-z_$][\w$-]*$/;

/** `mcpServers["my server"].args[0]`. */
export function pathText(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (PLAIN_KEY.test(part)) text += text ? `.${part}` : part;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text || 'the top level';
}

/** The error that names every problem, its place and its remedy; exit code 78. */
export function configError(problems: readonly Problem[], file: string | undefined): StartError {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  const lines = [`The configuration${file ? ` ${file}` : ''} has ${count}:`];
  for (const { where, message, remedy } of problems) {
    lines.push(`  - ${where}: ${message}`);
    if (remedy) lines.push(`    ${remedy}`);
  }
  return new StartError(EXIT.config, lines.join('\n'));
}

/** An object with keys, not a list. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
