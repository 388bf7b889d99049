// Resources and templates of one virtual server. URIs are never renamed; of several backends with the same one the first has it,
// also while that backend is away: within a session a URI never changes its meaning either.
import { type Catalog, type CatalogKind, keyOf, type RawEntry } from '../backends/catalog.js';
import { MergedList } from './merged-list.js';
import { compileUriTemplate, type UriMatcher } from './uri-template.js';

export interface ResourceMatch {
  readonly backend: string;
  /** False: the backend could not be read last time; a request may be tried. */
  readonly available: boolean;
  /**
   * exact: it lists this URI · template: one of its templates describes it · only: the server has no other backend, which may know
   * URIs that it does not list (links in tool results need not be listed).
   */
  readonly by: 'exact' | 'template' | 'only';
}

interface Holder {
  readonly backend: string;
  readonly available: boolean;
}

interface Merged {
  readonly list: MergedList;
  readonly holders: ReadonlyMap<string, Holder>;
}

export interface ExposedResources {
  readonly list: MergedList;
  findBackend(uri: string): Holder | undefined;
}

export interface ExposedTemplates {
  readonly list: MergedList;
  /** By the text of the template, as completion refers to it. */
  findBackend(uriTemplate: string): Holder | undefined;
  /** Backends with a template that describes the URI, in order, each once. */
  matchBackends(uri: string): readonly Holder[];
}

/** @param catalogs one for each backend of the server, in its order */
export function exposeResources(catalogs: readonly Catalog[]): ExposedResources {
  const { list, holders } = merge('resources', catalogs);
  return { list, findBackend: (uri) => holders.get(uri) };
}

/** @param catalogs one for each backend of the server, in its order */
export function exposeTemplates(catalogs: readonly Catalog[]): ExposedTemplates {
  const { list, holders } = merge('resourceTemplates', catalogs);
  let matchers: Array<{ readonly matcher: UriMatcher; readonly holder: Holder }> | undefined;
  const compile = () =>
    [...holders].flatMap(([template, holder]) => {
      const matcher = compileUriTemplate(template);
      return matcher ? [{ matcher, holder }] : [];
    });
  return {
    list,
    findBackend: (uriTemplate) => holders.get(uriTemplate),
    matchBackends(uri) {
      matchers ??= compile();
      const found = new Map<string, Holder>();
      for (const { matcher, holder } of matchers) {
        if (!found.has(holder.backend) && matcher.matches(uri)) found.set(holder.backend, holder);
      }
      return [...found.values()];
    },
  };
}

function merge(kind: Extract<CatalogKind, 'resources' | 'resourceTemplates'>, catalogs: readonly Catalog[]): Merged {
  const holders = new Map<string, Holder>();
  const listed: RawEntry[] = [];
  for (const { backend, parts } of catalogs) {
    const part = parts[kind];
    if (!part) continue;
    const holder: Holder = { backend, available: part.available };
    for (const entry of part.entries) {
      const key = keyOf(kind, entry);
      if (holders.has(key)) continue;
      holders.set(key, holder);
      if (part.available) listed.push(entry);
    }
  }
  return { list: new MergedList(kind, listed), holders };
}
