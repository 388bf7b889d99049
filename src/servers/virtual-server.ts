// Virtual servers: named selections of backends and their tools. What is reachable at which path is decided here, once, from the
// configuration; a reload makes a new table (and new objects: what was memoised for the old ones goes with them).
import type { Config } from '../config/schema.js';
import { ALL_TOOLS, isUnfiltered, type OwnFilter, type ToolFilter } from './tool-filter.js';

/** `auto`: only names that collide become `<backend>__<name>`; `always`; `never`: of several the first backend's tool is shown. */
export type PrefixMode = 'auto' | 'always' | 'never';

export interface VirtualServer {
  /** '' for all backends. */
  readonly id: string;
  /** Names of backends, in the order in which lists show them. */
  readonly backends: readonly string[];
  readonly tools: ToolFilter;
  readonly prefix: PrefixMode;
}

export interface ServerTable {
  /** What `/servers/<id>/mcp` serves, or `/mcp` for ''; undefined: nothing (404). */
  find(id: string): VirtualServer | undefined;
  /** Everything that `find` finds, in the order of the configuration: virtual servers, backends, all. */
  readonly servers: readonly VirtualServer[];
}

/** What a session is left with when its server was removed, until it ends. */
export function goneServer(id: string): VirtualServer {
  return { id, backends: [], tools: ALL_TOOLS, prefix: 'auto' };
}

/** Backends that a virtual server names but the configuration lacks are left out: loading the configuration reports them. */
export function makeServers({ mcpServers, servers, expose }: Pick<Config, 'mcpServers' | 'servers' | 'expose'>): ServerTable {
  const names = Object.keys(mcpServers);
  const known = new Set(names);
  // A Map, not an object: an id comes from a URL and may be `__proto__`.
  const table = new Map<string, VirtualServer>();
  for (const [id, { backends, tools, prefix }] of Object.entries(servers)) {
    const selected = [...new Set(backends)].filter((name) => known.has(name));
    const filter = { include: tools.include, exclude: tools.exclude };
    table.set(id, { id, backends: selected, tools: withOwn(filter, selected, mcpServers), prefix });
  }
  if (expose.backends) {
    for (const name of names) {
      if (table.has(name)) continue;
      table.set(name, { id: name, backends: [name], tools: withOwn(ALL_TOOLS, [name], mcpServers), prefix: 'auto' });
    }
  }
  table.delete('');
  if (expose.all) table.set('', { id: '', backends: names, tools: withOwn(ALL_TOOLS, names, mcpServers), prefix: 'auto' });
  return { find: (id) => table.get(id), servers: [...table.values()] };
}

/** What the `tools` options of the backends leave, too; a filter that hides nothing stays the same object. */
function withOwn(filter: ToolFilter, names: readonly string[], backends: Config['mcpServers']): ToolFilter {
  const own = new Map<string, OwnFilter>();
  for (const name of names) {
    const tools = backends[name]?.tools;
    if (tools && !isUnfiltered(tools)) own.set(name, { include: tools.include, exclude: tools.exclude });
  }
  return own.size === 0 ? filter : { ...filter, own };
}
