// Makes exposures and keeps them: merging is worth doing once per content, not once per request or per session.
import { LRUCache } from 'lru-cache';
import type { Catalog, CatalogKind } from '../backends/catalog.js';
import { exposeNames, type ExposedNames } from './exposed-names.js';
import { exposeResources, exposeTemplates } from './exposed-resources.js';
import { Exposure, type ExposureParts } from './exposure.js';
import type { VirtualServer } from './virtual-server.js';

export interface ExposerOptions {
  /** Hears once per server (until the next reload) of each name that is hidden behind another. */
  readonly warn?: (serverId: string, message: string) => void;
  /** Most kept per virtual server: whole exposures, of which sessions with scopes of their own have one each. Default 1 000. */
  readonly maxExposures?: number;
  /** Most kept per virtual server and kind: merges of different content. Default 32. */
  readonly maxMerges?: number;
}

const MAX_WARNINGS = 200;

interface Memo {
  /** By the generations of the catalogs: a request finds its exposure by a few numbers. */
  readonly exposures: LRUCache<string, Exposure>;
  /** By the versions of the parts: equal content is merged once, however many sessions read it. */
  readonly merges: { readonly [K in CatalogKind]: LRUCache<string, ExposureParts[K]> };
  readonly warned: Set<string>;
}

export class Exposer {
  readonly #warn: (serverId: string, message: string) => void;
  readonly #maxExposures: number;
  readonly #maxMerges: number;
  // By object and not by id: after a reload the same id may select something else.
  readonly #memos = new WeakMap<VirtualServer, Memo>();

  constructor({ warn = () => {}, maxExposures = 1_000, maxMerges = 32 }: ExposerOptions = {}) {
    this.#warn = warn;
    this.#maxExposures = maxExposures;
    this.#maxMerges = maxMerges;
  }

  /** @param catalogs one for each backend of the server, in its order, all of one CatalogCache (generations are compared) */
  expose(server: VirtualServer, catalogs: readonly Catalog[]): Exposure {
    const memo = this.#openMemo(server);
    let key = '';
    for (const catalog of catalogs) key += `${catalog.generation},`;
    let exposure = memo.exposures.get(key);
    if (!exposure) {
      exposure = new Exposure(server, catalogs, this.#makeParts(server, memo, catalogs));
      memo.exposures.set(key, exposure);
    }
    return exposure;
  }

  #openMemo(server: VirtualServer): Memo {
    let memo = this.#memos.get(server);
    if (!memo) {
      const max = this.#maxMerges;
      memo = {
        exposures: new LRUCache({ max: this.#maxExposures }),
        merges: {
          tools: new LRUCache({ max }),
          prompts: new LRUCache({ max }),
          resources: new LRUCache({ max }),
          resourceTemplates: new LRUCache({ max }),
        },
        warned: new Set(),
      };
      this.#memos.set(server, memo);
    }
    return memo;
  }

  #makeParts(server: VirtualServer, memo: Memo, catalogs: readonly Catalog[]): ExposureParts {
    const made: { -readonly [K in CatalogKind]?: ExposureParts[K] } = {};
    const names = (kind: 'tools' | 'prompts') =>
      findOrMake(memo.merges[kind], versionsOf(kind, catalogs), () => this.#exposeNames(server, memo, kind, catalogs));
    return {
      get tools() {
        made.tools ??= names('tools');
        return made.tools;
      },
      get prompts() {
        made.prompts ??= names('prompts');
        return made.prompts;
      },
      get resources() {
        made.resources ??= findOrMake(memo.merges.resources, versionsOf('resources', catalogs), () => exposeResources(catalogs));
        return made.resources;
      },
      get resourceTemplates() {
        const versions = versionsOf('resourceTemplates', catalogs);
        made.resourceTemplates ??= findOrMake(memo.merges.resourceTemplates, versions, () => exposeTemplates(catalogs));
        return made.resourceTemplates;
      },
    };
  }

  #exposeNames(server: VirtualServer, memo: Memo, kind: 'tools' | 'prompts', catalogs: readonly Catalog[]): ExposedNames {
    const exposed = exposeNames(server, kind, catalogs);
    for (const warning of exposed.warnings) {
      if (memo.warned.has(warning) || memo.warned.size >= MAX_WARNINGS) continue;
      memo.warned.add(warning);
      this.#warn(server.id, warning);
    }
    return exposed;
  }
}

function versionsOf(kind: CatalogKind, catalogs: readonly Catalog[]): string {
  return catalogs.map((catalog) => catalog.parts[kind]?.version ?? '-').join(',');
}

function findOrMake<T extends object>(memo: LRUCache<string, T>, key: string, make: () => T): T {
  let value = memo.get(key);
  if (!value) {
    value = make();
    memo.set(key, value);
  }
  return value;
}
