// Which tools of its backends a virtual server shows. Patterns see the backend's own name and `<backend>__<name>`, never the name that
// clients see: that one depends on what else is exposed, and a collision must not un-exclude a tool.
import { matchesGlob } from './glob.js';

/** Between backend and name. */
export const SEPARATOR = '__';

export interface ToolFilter {
  /** Default `['*']`. */
  readonly include: readonly string[];
  /** Wins over `include`. Default none. */
  readonly exclude: readonly string[];
  /** By backend: what its own `tools` option leaves of it, at whatever server; matched against its own names alone. */
  readonly own?: ReadonlyMap<string, OwnFilter>;
}

export type OwnFilter = Pick<ToolFilter, 'include' | 'exclude'>;

export const ALL_TOOLS: ToolFilter = { include: ['*'], exclude: [] };

/** Nothing is hidden: then no call has to be kept from anything. */
export function isUnfiltered(filter: ToolFilter): boolean {
  return filter.own === undefined && filter.exclude.length === 0 && filter.include.includes('*');
}

export interface ToolName {
  readonly backend: string;
  /** The backend's own. */
  readonly name: string;
}

export function allowsTool(filter: ToolFilter, tool: ToolName): boolean {
  return (
    leavesTool(filter.own?.get(tool.backend), tool.name) && matchesAny(filter.include, tool) && !matchesAny(filter.exclude, tool)
  );
}

function leavesTool(own: OwnFilter | undefined, name: string): boolean {
  if (!own) return true;
  const isMatched = (pattern: string) => matchesGlob(pattern, name);
  return own.include.some(isMatched) && !own.exclude.some(isMatched);
}

function matchesAny(patterns: readonly string[], tool: ToolName): boolean {
  return patterns.some((pattern) => matchesTool(pattern, tool));
}

export function matchesTool(pattern: string, { backend, name }: ToolName): boolean {
  return pattern === '*' || matchesGlob(pattern, name) || matchesGlob(pattern, `${backend}${SEPARATOR}${name}`);
}
