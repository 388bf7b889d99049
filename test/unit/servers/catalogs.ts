// Catalogs for tests, as a CatalogCache would hand them out.
import type { Catalog, CatalogKind, CatalogPart, RawEntry } from '../../../src/backends/catalog.js';
import { digestOf } from '../../../src/protocol/ids.js';
import type { VirtualServer } from '../../../src/servers/virtual-server.js';

/** Generations as one cache would count them; one maker per test, so that no test depends on another. */
export function catalogMaker(): (
  backend: string,
  lists: Partial<Record<CatalogKind, readonly RawEntry[]>>,
  available?: boolean,
) => Catalog {
  let generation = 0;
  return (backend, lists, available = true) => {
    const parts: Partial<Record<CatalogKind, CatalogPart>> = {};
    for (const [kind, entries] of Object.entries(lists) as Array<[CatalogKind, readonly RawEntry[]]>) {
      const version = `${digestOf(JSON.stringify(entries))}${available ? '' : '!'}`;
      parts[kind] = { entries, available, loadedMs: 1, ttlMs: 1000, version, ...(available ? {} : { error: 'connect_refused' }) };
    }
    return { backend, generation: ++generation, parts };
  };
}

export function tool(name: string, more: Record<string, unknown> = {}): RawEntry {
  return { name, inputSchema: { type: 'object' }, ...more };
}

export function tools(...names: string[]): { tools: RawEntry[] } {
  return { tools: names.map((name) => tool(name)) };
}

export function server(backends: string[], more: Partial<VirtualServer> = {}): VirtualServer {
  return { id: 'vs', backends, tools: { include: ['*'], exclude: [] }, prefix: 'auto', ...more };
}
