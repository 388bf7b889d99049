// Patterns of a virtual server's filter that match no tool of its backends: most likely misspelt. An exclusion that excludes nothing shows
// what was to be hidden, so it is worth telling, with what may have been meant.
import { nearest } from '../config/suggest.js';
import { SEPARATOR, matchesTool, type ToolFilter, type ToolName } from './tool-filter.js';

export interface IdlePattern {
  readonly list: keyof ToolFilter;
  readonly pattern: string;
  /** A pattern that would match; undefined if nothing is near. */
  readonly suggestion: string | undefined;
}

/** Finding what is near costs the product of both lengths for each name. */
const MAX_PATTERN = 64;
const MAX_LENGTH_DIFFERENCE = 16;
const MAX_TOOLS = 2000;
const WILDCARD = /[*?]/;

/** @param tools all that the backends offer, excluded ones too */
export function findIdlePatterns(filter: ToolFilter, backends: readonly string[], tools: readonly ToolName[]): IdlePattern[] {
  const lists = ['include', 'exclude'] as const;
  return lists.flatMap((list) =>
    [...new Set(filter[list])]
      .filter((pattern) => pattern !== '*' && !tools.some((tool) => matchesTool(pattern, tool)))
      .map((pattern) => ({ list, pattern, suggestion: suggest(pattern, backends, tools) })),
  );
}

function suggest(pattern: string, backends: readonly string[], all: readonly ToolName[]): string | undefined {
  if (pattern.length > MAX_PATTERN) return undefined;
  const tools = all.slice(0, MAX_TOOLS);
  const wouldMatch = (other: string) => tools.some((tool) => matchesTool(other, tool));
  const at = pattern.indexOf(SEPARATOR);
  const rest = at < 0 ? undefined : pattern.slice(at + SEPARATOR.length);
  if (rest !== undefined) {
    // The name is right, what stands before it is not.
    const backend = nearest(pattern.slice(0, at), backends);
    const renamed = backend === undefined ? undefined : `${backend}${SEPARATOR}${rest}`;
    if (renamed !== undefined && wouldMatch(renamed)) return renamed;
    const holder = rest === '' || rest === '*' ? undefined : tools.find((tool) => matchesTool(rest, tool));
    if (holder) return `${holder.backend}${SEPARATOR}${rest}`;
  }
  const near = (name: string) => Math.abs(name.length - pattern.length) <= MAX_LENGTH_DIFFERENCE;
  if (!WILDCARD.test(pattern)) {
    const names = tools.flatMap(({ backend, name }) => [name, `${backend}${SEPARATOR}${name}`]);
    return nearest(pattern, names.filter(near));
  }
  // `Get_*` for get_x.
  const lower = pattern.toLowerCase();
  return tools.find(({ backend, name }) => matchesTool(lower, { backend: backend.toLowerCase(), name: name.toLowerCase() }))
    ?.name;
}
