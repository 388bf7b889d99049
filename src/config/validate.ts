// Merged values against the schema; what the schema says becomes sentences with a place and a remedy.
import type { z } from 'zod';
import { keysAt, listOptions, type OptionInfo } from './options.js';
import { type Path, type Problem, pathText } from './problems.js';
import { type Config, configSchema } from './schema.js';
import { nearest } from './suggest.js';

type Issue = z.core.$ZodIssue;

export interface ValidationContext {
  readonly placeOf: (path: Path) => string;
  /** Paths of which a problem was told already. */
  readonly broken: ReadonlySet<string>;
}

/** The effective values, or undefined with everything that is wrong in `problems`. */
export function validate(value: unknown, context: ValidationContext, problems: Problem[]): Config | undefined {
  const result = configSchema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) problems.push(...explain(issue, value, context));
  return undefined;
}

function explain(issue: Issue, root: unknown, { placeOf, broken }: ValidationContext): Problem[] {
  const path = issue.path as Path;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      where: placeOf([...path, key]),
      message: 'unknown option',
      remedy: suggestKey(key, path),
    }));
  }
  if (broken.has(pathText(path))) return [];
  const option = optionAt(path);
  const nested = issue.code === 'invalid_key' || issue.code === 'invalid_element' ? issue.issues[0]?.message : undefined;
  const problem = { where: placeOf(path), message: nested ?? sentence(issue, valueAt(root, path)) };
  return [{ ...problem, remedy: remedyFor(issue, path, option, valueAt(root, path)) }];
}

function suggestKey(key: string, path: Path): string {
  const here = keysAt(path.map(String));
  if (here.includes(key)) return 'It belongs to backends of another type: remove it.';
  const near = nearest(key, here);
  if (near) return `Did you mean "${near}"?`;
  // The right key one level too high or too low.
  const elsewhere = listOptions().find((option) => !option.path.includes('*') && option.path.at(-1) === key);
  if (elsewhere) return `Did you mean "${elsewhere.path.join('.')}"?`;
  return here.length ? `Remove it. Known here: ${here.join(', ')}.` : 'Remove it.';
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a whole number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a group of options',
  record: 'names with values',
};

function kindName(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a group of options';
  return typeof value === 'boolean' || typeof value === 'number' ? `the ${typeof value} ${String(value)}` : 'text';
}

function sentence(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      // A sentence of our own (durations, sizes) stays.
      if (!issue.message.startsWith('Invalid input')) return `${issue.message}, got ${kindName(value)}`;
      return `expected ${KIND_NAMES[issue.expected] ?? issue.expected}, got ${kindName(value)}`;
    case 'invalid_value':
      return `expected ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map((item) => `"${String(item)}"`).join(', ')}`;
    case 'too_small':
      return issue.message.startsWith('Too small') ? `expected at least ${String(issue.minimum)}` : issue.message;
    case 'too_big':
      return `expected at most ${String(issue.maximum)}`;
    default:
      return issue.message.replace(/^Invalid input: /, '');
  }
}

function remedyFor(issue: Issue, path: Path, option: OptionInfo | undefined, value: unknown): string | undefined {
  const inText = path.includes('env') || path.includes('headers') || path.includes('args');
  if (issue.code === 'invalid_type' && issue.expected === 'string' && inText) return 'Write it in quotes.';
  if (issue.code === 'invalid_value' && typeof value === 'string') {
    const suggestion = nearest(value, issue.values.map(String));
    if (suggestion) return `Did you mean "${suggestion}"?`;
  }
  if (typeof value === 'number' && (option?.kind === 'duration' || option?.kind === 'size')) {
    return option.kind === 'duration'
      ? `Write it with its unit, such as ${value}s or ${value}ms.`
      : `Write it with its unit, such as ${value}B.`;
  }
  if (!option) return undefined;
  const fallback = option.default === undefined || option.default === '' ? '' : ` Default: ${JSON.stringify(option.default)}.`;
  return `${option.doc.text}${fallback}`;
}

function optionAt(path: Path): OptionInfo | undefined {
  return listOptions().find(
    ({ path: known }) => known.length === path.length && known.every((part, i) => part === '*' || part === path[i]),
  );
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path)
    value = typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[part] : undefined;
  return value;
}
