// Patterns of a virtual server's filter, and of the `tools` options of its backends, that match no tool of its backends: most likely misspelt. An exclusion that excludes nothing shows
// what was to be hidden, so it is worth telling, with what may have been meant.
import { nearest } from '../config/suggest.js';
import { matchesGlob } from './glob.js';
import { SEPARATOR, matchesTool, type OwnFilter, type ToolFilter, type ToolName } from './tool-filter.js';

export interface IdlePattern {
  /** Whose own filter it stands in; undefined: the server's. */
  readonly backend?: string;
  readonly list: keyof OwnFilter;
  readonly pattern: string;
  /** A pattern that would match; undefined if nothing is near. */
  readonly suggestion: string | undefined;
}

/** Finding what is near costs the product of both lengths for each name. */
const MAX_PATTERN = 64;
const MAX_LENGTH_DIFFERENCE = 16;
const MAX_TOOLS = 2000;
/**
 * Of all patterns together, in such products: some 10 ms. Names are the backend's to choose, and to find what is near a hundred patterns
 * among two thousand long ones took longer than a lease lasts.
 */
const MAX_EFFORT = 1_000_000;
const WILDCARD = /[*?]/;

/** @param tools all that the backends offer, excluded ones too */
export function findIdlePatterns(filter: ToolFilter, backends: readonly string[], tools: readonly ToolName[]): IdlePattern[] {
  const effort: Effort = { left: MAX_EFFORT };
  const found: IdlePattern[] = findIn(filter, (pattern) => tools.some((tool) => matchesTool(pattern, tool))).map(
    ({ list, pattern }) => ({ list, pattern, suggestion: suggest(pattern, backends, tools, effort) }),
  );
  for (const [backend, own] of filter.own ?? []) {
    const names = tools.flatMap((tool) => (tool.backend === backend ? tool.name : []));
    for (const { list, pattern } of findIn(own, (one) => names.some((name) => matchesGlob(one, name))))
      found.push({ backend, list, pattern, suggestion: suggestOwn(pattern, backend, names, effort) });
  }
  return found;
}

/** What may still be spent; beyond it nothing is suggested. */
interface Effort {
  left: number;
}

function findIn(filter: OwnFilter, isMatched: (pattern: string) => boolean) {
  return (['include', 'exclude'] as const).flatMap((list) =>
    [...new Set(filter[list])].filter((pattern) => pattern !== '*' && !isMatched(pattern)).map((pattern) => ({ list, pattern })),
  );
}

/** Its patterns see the backend's own names alone. */
function suggestOwn(pattern: string, backend: string, names: readonly string[], effort: Effort): string | undefined {
  const prefix = `${backend}${SEPARATOR}`;
  const bare = pattern.startsWith(prefix) ? pattern.slice(prefix.length) : undefined;
  if (bare !== undefined && names.some((name) => matchesGlob(bare, name))) return bare;
  if (pattern.length > MAX_PATTERN || WILDCARD.test(pattern)) return undefined;
  return nearest(bare ?? pattern, names.slice(0, MAX_TOOLS).filter(isNear(pattern, effort)));
}

/** Whether it is worth comparing, and may be. */
function isNear(pattern: string, effort: Effort) {
  return (name: string) => {
    if (effort.left <= 0 || Math.abs(name.length - pattern.length) > MAX_LENGTH_DIFFERENCE) return false;
    effort.left -= name.length * pattern.length;
    return true;
  };
}

function suggest(pattern: string, backends: readonly string[], all: readonly ToolName[], effort: Effort): string | undefined {
  if (pattern.length > MAX_PATTERN || effort.left <= 0) return undefined;
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
  if (!WILDCARD.test(pattern)) {
    const names = tools.flatMap(({ backend, name }) => [name, `${backend}${SEPARATOR}${name}`]);
    return nearest(pattern, names.filter(isNear(pattern, effort)));
  }
  // `Get_*` for get_x.
  const lower = pattern.toLowerCase();
  return tools.find(({ backend, name }) => matchesTool(lower, { backend: backend.toLowerCase(), name: name.toLowerCase() }))
    ?.name;
}
