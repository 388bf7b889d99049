// Tools or prompts of one virtual server: the list that clients see and, from the very same decision, what each name in it means.
// What is not listed cannot be called, because both come from here.
import { type Catalog, keyOf, type RawEntry } from '../backends/catalog.js';
import { decideNames } from './decide-names.js';
import { encodeMeanings } from './meanings.js';
import { MergedList } from './merged-list.js';
import { allowsTool, type ToolName } from './tool-filter.js';
import type { VirtualServer } from './virtual-server.js';

export interface ExposedName {
  readonly backend: string;
  /** The backend's own name: what goes to it. */
  readonly name: string;
  /** What clients call it. */
  readonly exposedAs: string;
  /**
   * False: its backend could not be read last time, so that lists hide it; the name is kept for it. A call may be tried (it tells
   * the reason, -32010, or heals), and never goes to another backend.
   */
  readonly available: boolean;
}

export interface ExposedNames {
  readonly list: MergedList;
  /** By the name that clients use. */
  readonly byName: ReadonlyMap<string, ExposedName>;
  /**
   * Every backend was read, or tried at least. Before that a name may yet turn out to collide, so NamePins gives no name a meaning.
   */
  readonly isDecided: boolean;
  /** What is hidden behind another of the same name. */
  readonly warnings: readonly string[];
  /** By backend and its own name: still exposed, whatever it is called now? */
  findOwn(backend: string, name: string): ExposedName | undefined;
  /** What each name means, as sessions keep it in their records (meanings.ts); made at its first use. */
  toText(): string;
}

interface Candidate extends ToolName {
  readonly entry: RawEntry;
  readonly available: boolean;
}

/** @param catalogs one for each backend of the server, in its order */
export function exposeNames(server: VirtualServer, kind: 'tools' | 'prompts', catalogs: readonly Catalog[]): ExposedNames {
  const offered = catalogs.flatMap((catalog) => readCandidates(kind, catalog));
  // Filtered first: what is excluded collides with nothing.
  const candidates = kind === 'tools' ? offered.filter((candidate) => allowsTool(server.tools, candidate)) : offered;
  const names = decideNames(candidates, server.prefix);
  const byName = new Map<string, ExposedName>();
  const byOwn = new Map<string, ExposedName>();
  const listed: RawEntry[] = [];
  const warnings: string[] = [];
  candidates.forEach(({ backend, name, entry, available }, index) => {
    const exposedAs = names[index];
    if (exposedAs === undefined) {
      const holder = byName.get(name)?.backend;
      warnings.push(`${kind}: "${name}" of backend "${backend}" is hidden by that of "${holder}" (prefix: ${server.prefix})`);
      return;
    }
    const exposed: ExposedName = { backend, name, exposedAs, available };
    byName.set(exposedAs, exposed);
    byOwn.set(ownKey(backend, name), exposed);
    if (available) listed.push(exposedAs === name ? entry : { ...entry, name: exposedAs });
  });
  let text: string | undefined;
  return {
    list: new MergedList(kind, listed),
    byName,
    isDecided: catalogs.every((catalog) => catalog.parts[kind] !== undefined),
    warnings,
    findOwn: (backend, name) => byOwn.get(ownKey(backend, name)),
    toText: () => {
      text ??= encodeMeanings(byName);
      return text;
    },
  };
}

function readCandidates(kind: 'tools' | 'prompts', { backend, parts }: Catalog): Candidate[] {
  const part = parts[kind];
  if (!part) return [];
  const { available } = part;
  return part.entries.map((entry) => ({ backend, name: keyOf(kind, entry), entry, available }));
}

function ownKey(backend: string, name: string): string {
  // A blank stands in no name of a backend.
  return `${backend} ${name}`;
}
