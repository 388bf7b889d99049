// What is odd about a virtual server once the lists of its backends are known: for the log, once per configuration, and for the admin API.
import type { CatalogCache } from '../backends/catalog-cache.js';
import { keyOf } from '../backends/catalog.js';
import type { ExposedNames } from '../servers/exposed-names.js';
import type { Exposer } from '../servers/exposer.js';
import { findIdlePatterns, type IdlePattern } from '../servers/idle-patterns.js';
import type { VirtualServer } from '../servers/virtual-server.js';

export interface ServerWarning {
  /** Equal on every worker that finds the same, whatever else it knows. */
  readonly about: string;
  readonly text: string;
}

export interface ServerWarningsParts {
  readonly cache: Pick<CatalogCache, 'sharedParts' | 'latest'>;
  readonly exposer: Exposer;
  /** Whether what a backend lists depends on who asks: nobody can say then that a tool is missing. */
  readonly isPersonal: (backend: string) => boolean;
  readonly warn: (message: string, details: Record<string, unknown>) => void;
}

/** Of one server. Whoever has more knows after these what is wrong. */
const MAX_WARNINGS = 20;

export class ServerWarnings {
  readonly #parts: ServerWarningsParts;
  /** Until the next reload that changes the server makes another object of it. */
  readonly #logged = new WeakMap<VirtualServer, Set<string>>();
  readonly #seen = new WeakSet<ExposedNames>();
  readonly #found = new WeakMap<VirtualServer, { readonly of: string; readonly warnings: readonly ServerWarning[] }>();

  constructor(parts: ServerWarningsParts) {
    this.#parts = parts;
  }

  /** A session was shown these tools. Costs a look-up where they were shown before. */
  note(server: VirtualServer, tools: ExposedNames): void {
    if (this.#seen.has(tools)) return;
    this.#seen.add(tools);
    const logged = this.#logged.get(server) ?? new Set();
    this.#logged.set(server, logged);
    for (const { about, text } of this.#findIdle(server) ?? []) {
      if (logged.has(about) || logged.size >= MAX_WARNINGS) continue;
      logged.add(about);
      this.#parts.warn(text, { server: server.id });
    }
  }

  /** How many tools it exposes, by what was read last; undefined where a list was never read, or depends on who asks. */
  countTools(server: VirtualServer): number | undefined {
    return this.#expose(server)?.tools.list.length;
  }

  /** Undefined where a list was never read, or depends on who asks. */
  list(server: VirtualServer): readonly ServerWarning[] | undefined {
    const exposure = this.#expose(server);
    if (!exposure) return undefined;
    // Made when they are asked for: a server whose prompts nobody lists has none to hide.
    const hidden = [...exposure.tools.warnings, ...exposure.prompts.warnings];
    const all = [...(this.#findIdle(server) ?? []), ...hidden.map((text) => ({ about: text, text }))];
    const more = all.length - MAX_WARNINGS;
    return more > 0 ? [...all.slice(0, MAX_WARNINGS), { about: 'more', text: `and ${more} more` }] : all;
  }

  #expose(server: VirtualServer) {
    const { cache, exposer, isPersonal } = this.#parts;
    if (server.backends.some(isPersonal)) return undefined;
    const catalogs = server.backends.map((backend) => cache.latest(backend));
    if (catalogs.some(({ parts }) => parts.tools?.loadedMs === undefined)) return undefined;
    return exposer.expose(server, catalogs);
  }

  /**
   * Looks at what all clients were shown: servers list other tools to clients that can be asked. Undefined while the tools of a backend
   * are unknown, or known in part.
   */
  #findIdle(server: VirtualServer): readonly ServerWarning[] | undefined {
    const { cache, isPersonal } = this.#parts;
    if (server.backends.length === 0 || server.backends.some(isPersonal)) return undefined;
    const known = server.backends.map((backend) => ({ backend, parts: cache.sharedParts(backend, 'tools') }));
    if (known.some(({ parts }) => parts.length === 0 || parts.some(({ isCut }) => isCut))) return undefined;
    const of = known.map(({ parts }) => parts.map(({ version }) => version).join(' ')).join();
    const before = this.#found.get(server);
    if (before?.of === of) return before.warnings;
    const tools = known.flatMap(({ backend, parts }) => {
      const names = new Set(parts.flatMap(({ entries }) => entries.map((entry) => keyOf('tools', entry))));
      return [...names].map((name) => ({ backend, name }));
    });
    const warnings = findIdlePatterns(server.tools, server.backends, tools).map(describe);
    this.#found.set(server, { of, warnings });
    return warnings;
  }
}

function describe({ backend, list, pattern, suggestion }: IdlePattern): ServerWarning {
  const option = `${backend === undefined ? '' : `mcpServers.${backend}.`}tools.${list}`;
  const hint = suggestion === undefined ? '' : `; did you mean "${suggestion}"?`;
  return { about: `${option} ${pattern}`, text: `${option}: "${pattern}" matches no tool${hint}` };
}
