// What a backend offers, as it told it: the contract between whoever reads lists (sessions), keeps them (CatalogCache) and merges
// them (servers/). Entries stay as the backend gave them; nothing here knows of virtual servers or names of ours.

export const CATALOG_KINDS = ['tools', 'resources', 'resourceTemplates', 'prompts'] as const;
export type CatalogKind = (typeof CATALOG_KINDS)[number];

export interface KindFacts {
  readonly method: string;
  /** Property of the result that holds the array; the same word as the kind. */
  readonly resultKey: CatalogKind;
  /** Property of an entry that identifies it within its backend. */
  readonly keyField: 'name' | 'uri' | 'uriTemplate';
}

export const KIND_FACTS: Readonly<Record<CatalogKind, KindFacts>> = {
  tools: { method: 'tools/list', resultKey: 'tools', keyField: 'name' },
  resources: { method: 'resources/list', resultKey: 'resources', keyField: 'uri' },
  resourceTemplates: { method: 'resources/templates/list', resultKey: 'resourceTemplates', keyField: 'uriTemplate' },
  prompts: { method: 'prompts/list', resultKey: 'prompts', keyField: 'name' },
};

const kindOfMethod: ReadonlyMap<string, CatalogKind> = new Map(CATALOG_KINDS.map((kind) => [KIND_FACTS[kind].method, kind]));

/** The kind that a list method asks for; undefined for any other method. */
export function findListKind(method: string): CatalogKind | undefined {
  return kindOfMethod.get(method);
}

/** How a change of a list is told; there is no notification of its own for templates. */
export const LIST_CHANGED_METHODS: Readonly<Record<CatalogKind, string>> = {
  tools: 'notifications/tools/list_changed',
  resources: 'notifications/resources/list_changed',
  resourceTemplates: 'notifications/resources/list_changed',
  prompts: 'notifications/prompts/list_changed',
};

const kindsOfNotification: ReadonlyMap<string, readonly CatalogKind[]> = new Map(
  Object.values(LIST_CHANGED_METHODS).map((method) => [
    method,
    CATALOG_KINDS.filter((kind) => LIST_CHANGED_METHODS[kind] === method),
  ]),
);

/** The kinds that a list_changed notification voids; empty for any other method. */
export function findChangedKinds(method: string): readonly CatalogKind[] {
  return kindsOfNotification.get(method) ?? [];
}

/** One tool, resource, template or prompt, with every field that the backend gave it. */
export type RawEntry = Readonly<Record<string, unknown>>;

/** What identifies an entry within its backend; only for entries that passed loadAllPages. */
export function keyOf(kind: CatalogKind, entry: RawEntry): string {
  return entry[KIND_FACTS[kind].keyField] as string;
}

/** One list of one backend. */
export interface CatalogPart {
  /** Last known: after a failed load still those of the last good one. */
  readonly entries: readonly RawEntry[];
  /** The last load succeeded. Otherwise lists hide the entries, while names are still decided with them. */
  readonly available: boolean;
  /** Why the last load failed: a word for logs and the admin API, no secrets. */
  readonly error?: string;
  /** Monotonic time of the last good load; undefined if there never was one. */
  readonly loadedMs: number | undefined;
  /** How long the list counts as fresh from `loadedMs` on. */
  readonly ttlMs: number;
  /** The backend has more than was read of it (a bound of loadAllPages). */
  readonly isCut?: boolean;
  /** Digest of entries and availability: equal for equal content, whichever worker or session read it. */
  readonly version: string;
}

/** All that is known of one backend in one scope. Immutable: replaced when something changes. */
export interface Catalog {
  readonly backend: string;
  /** Another number whenever version or error of a part is another; unique within one CatalogCache. 0: nothing was ever read. */
  readonly generation: number;
  readonly parts: Readonly<Partial<Record<CatalogKind, CatalogPart>>>;
}

/** What a load brings. */
export interface LoadedList {
  readonly entries: readonly RawEntry[];
  /** What the backend allows; default and maximum: those of the cache. */
  readonly ttlMs?: number;
  /** There is more: a bound was reached. */
  readonly isCut?: boolean;
}
