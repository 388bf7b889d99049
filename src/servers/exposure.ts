// What one virtual server shows at one moment: lists and the meaning of every name in them. Immutable; made by the Exposer. Each
// kind is merged when it is first asked for, since a client that calls tools need not pay for prompts.
import type { Catalog, CatalogKind } from '../backends/catalog.js';
import { isObject } from '../protocol/json-rpc.js';
import type { ExposedName, ExposedNames } from './exposed-names.js';
import type { ExposedResources, ExposedTemplates, ResourceMatch } from './exposed-resources.js';
import type { ListAnswer } from './merged-list.js';
import type { VirtualServer } from './virtual-server.js';

/** The merged kinds, each made (or found in a memo) on first use. */
export interface ExposureParts {
  readonly tools: ExposedNames;
  readonly prompts: ExposedNames;
  readonly resources: ExposedResources;
  readonly resourceTemplates: ExposedTemplates;
}

export interface CompletionReference {
  readonly backend: string;
  /** As the backend knows it. */
  readonly ref: Record<string, unknown>;
  /** True if `ref` differs from what the client sent. */
  readonly changed: boolean;
}

export class Exposure {
  readonly server: VirtualServer;
  /** What it was made of, one for each backend of the server: which backends could be read, and why not. */
  readonly catalogs: readonly Catalog[];
  readonly #parts: ExposureParts;

  constructor(server: VirtualServer, catalogs: readonly Catalog[], parts: ExposureParts) {
    this.server = server;
    this.catalogs = catalogs;
    this.#parts = parts;
  }

  get tools(): ExposedNames {
    return this.#parts.tools;
  }

  get prompts(): ExposedNames {
    return this.#parts.prompts;
  }

  /** @param name as clients see it. Undefined: not exposed, TOOL_NOT_FOUND. Sessions ask through NamePins. */
  findTool(name: string): ExposedName | undefined {
    return this.#parts.tools.byName.get(name);
  }

  /** @param name as clients see it. Undefined: not exposed, PROMPT_NOT_FOUND. */
  findPrompt(name: string): ExposedName | undefined {
    return this.#parts.prompts.byName.get(name);
  }

  /** Whom to ask for a URI, best first: the backend that lists it, else those with a fitting template. Empty: RESOURCE_NOT_FOUND. */
  findResource(uri: string): readonly ResourceMatch[] {
    const exact = this.#parts.resources.findBackend(uri);
    if (exact) return [{ ...exact, by: 'exact' }];
    const byTemplate = this.#parts.resourceTemplates.matchBackends(uri);
    if (byTemplate.length > 0) return byTemplate.map((holder) => ({ ...holder, by: 'template' }));
    const [only, ...others] = this.server.backends;
    return only !== undefined && others.length === 0 ? [{ backend: only, available: true, by: 'only' }] : [];
  }

  /**
   * Whom a completion refers to. Undefined: neither a prompt nor a resource of this server (BAD_ARGUMENT), or not all backends were
   * read yet: another may turn out to have the same name, or to come first.
   * @param findPrompt what a prompt's name means to whoever asks; default what it means here
   */
  findCompletion(
    ref: unknown,
    findPrompt: (name: string) => Pick<ExposedName, 'backend' | 'name'> | undefined = (name) => this.findPrompt(name),
  ): CompletionReference | undefined {
    if (!isObject(ref)) return undefined;
    if (ref.type === 'ref/prompt' && typeof ref.name === 'string' && this.#isDecided('prompts')) {
      const prompt = findPrompt(ref.name);
      if (!prompt) return undefined;
      const changed = prompt.name !== ref.name;
      return { backend: prompt.backend, ref: changed ? { ...ref, name: prompt.name } : ref, changed };
    }
    if (ref.type === 'ref/resource' && typeof ref.uri === 'string' && this.#isDecided('resources', 'resourceTemplates')) {
      const holder = this.#parts.resourceTemplates.findBackend(ref.uri) ?? this.findResource(ref.uri)[0];
      return holder && { backend: holder.backend, ref, changed: false };
    }
    return undefined;
  }

  /** One page of a list as the text of its result object; costs a look-up when it was asked for before. */
  listJson(kind: CatalogKind, cursor: unknown, pageSize: number): ListAnswer {
    return this.#parts[kind].list.page(cursor, pageSize);
  }

  /** Every backend was read, or tried at least. */
  #isDecided(...kinds: CatalogKind[]): boolean {
    return this.catalogs.every(({ parts }) => kinds.every((kind) => parts[kind] !== undefined));
  }
}
