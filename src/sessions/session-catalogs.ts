// What a session's virtual server exposes: reads the catalogs of its backends through the session's own backend sessions, and finds
// where a name or a uri leads. What is not listed cannot be called.

import { type CatalogKind, findChangedKinds, type LoadedList } from '../backends/catalog.js';
import type { CatalogCache } from '../backends/catalog-cache.js';
import { loadAllPages } from '../backends/catalog-pages.js';
import type { OwnRequests } from '../backends/own-requests.js';
import type { ErrorCode } from '../errors/catalog.js';
import { GatewayError } from '../errors/gateway-error.js';
import type { Clock } from '../lifecycle/clock.js';
import type { Exposer } from '../servers/exposer.js';
import type { CompletionReference, Exposure } from '../servers/exposure.js';
import type { VirtualServer } from '../servers/virtual-server.js';
import type { Exchange } from '../streams/exchange.js';
import type { NameSaver } from './name-saver.js';
import type { Session } from './session.js';
import type { SessionBackends } from './session-backends.js';

export type ListKind = CatalogKind;

export interface SessionCatalogsParts {
  readonly clock: Clock;
  readonly cache: CatalogCache;
  readonly exposer: Exposer;
  readonly sessionBackends: SessionBackends;
  readonly names: Pick<NameSaver, 'note'>;
  readonly ownRequests: OwnRequests;
  /** Whether what a backend lists depends on who asks (it gets headers of the caller). */
  readonly isPersonal: (backend: string) => boolean;
  readonly warn: (message: string, details: Record<string, unknown>) => void;
  /** Tells every session that uses the backend, here and on the other workers; `sessionRef`: only that one is concerned. */
  readonly announce: (backend: string, kind: CatalogKind, sessionRef: string | undefined) => void;
}

/** A backend that does not answer in this time is left out of a list. A stdio backend has to start within it, too. */
const LIST_TIMEOUT_MS = 15_000;
const PAGE_SIZE = 1000;
/** Reloads come by hand; each further round answers to one that came meanwhile. */
const MAX_ROUNDS = 3;

const NOT_FOUND: Readonly<Record<'tools' | 'prompts', ErrorCode>> = { tools: 'TOOL_NOT_FOUND', prompts: 'PROMPT_NOT_FOUND' };
/** Capability under which a backend offers a list. */
const CAPABILITY: Readonly<Record<CatalogKind, string>> = {
  tools: 'tools',
  prompts: 'prompts',
  resources: 'resources',
  resourceTemplates: 'resources',
};

/** Which lists say whose a reference of a completion is. */
function kindsOf(ref: Record<string, unknown>): readonly CatalogKind[] {
  return ref.type === 'ref/prompt' ? ['prompts'] : ['resources', 'resourceTemplates'];
}

export class SessionCatalogs {
  readonly #parts: SessionCatalogsParts;

  constructor(parts: SessionCatalogsParts) {
    this.#parts = parts;
  }

  /** One page of a merged list, as JSON text of the result. @throws GatewayError BAD_ARGUMENT; BACKEND_UNAVAILABLE if none could be read */
  async list(session: Session, kind: CatalogKind, cursor: string | undefined, exchange: Exchange): Promise<string> {
    const exposure = await this.#read(session, [kind], exchange);
    this.#failIfNothingWasRead(session, exposure.catalogs, kind);
    // What the client is shown now is what these names mean to it from now on.
    if (kind === 'tools' || kind === 'prompts') this.#see(session, exposure, kind);
    const page = exposure.listJson(kind, cursor, PAGE_SIZE);
    if (page.kind === 'badCursor')
      throw new GatewayError('BAD_ARGUMENT', { message: 'this cursor is not (or no longer) valid: list anew' });
    return page.json;
  }

  /** What is known now, without waiting: the hot path of tools/call. */
  findNamedNow(session: Session, kind: 'tools' | 'prompts', name: string): { backend: string; name: string } | undefined {
    return this.#findNamed(session, kind, name, this.#known(session));
  }

  /** @throws GatewayError TOOL_NOT_FOUND, PROMPT_NOT_FOUND; BACKEND_UNAVAILABLE where a backend that may have it cannot be read */
  async findNamed(
    session: Session,
    kind: 'tools' | 'prompts',
    name: string,
    exchange: Exchange,
  ): Promise<{ backend: string; name: string }> {
    const exposure = await this.#read(session, [kind], exchange);
    const found = this.#findNamed(session, kind, name, exposure);
    if (found) return found;
    this.#failIfUnread(exposure.catalogs, kind);
    throw new GatewayError(NOT_FOUND[kind], { message: name.slice(0, 128) });
  }

  /** Whose resource it is: listed, or described by a template; with one backend there is no doubt. */
  async findResource(session: Session, uri: string, exchange: Exchange): Promise<string> {
    const { backends } = session.facts.server;
    const [only] = backends;
    if (backends.length === 1 && only !== undefined) return only;
    const exposure = await this.#read(session, ['resources', 'resourceTemplates'], exchange);
    const [found] = exposure.findResource(uri);
    if (found) return found.backend;
    this.#failIfUnread(exposure.catalogs, 'resources');
    throw new GatewayError('RESOURCE_NOT_FOUND', { details: { uri } });
  }

  /** The backend that a completion is about, and the reference by the backend's own name. @throws GatewayError BAD_ARGUMENT */
  async findReference(session: Session, ref: Record<string, unknown>, exchange: Exchange): Promise<CompletionReference> {
    const found =
      this.#findReference(session, ref, this.#known(session)) ??
      this.#findReference(session, ref, await this.#read(session, kindsOf(ref), exchange));
    if (!found)
      throw new GatewayError('BAD_ARGUMENT', { message: 'params.ref names neither a prompt nor a resource of this server' });
    return found;
  }

  /**
   * A backend told this session that a list has changed: read anew when next asked, on every worker.
   * @returns false if the method is no such notification
   */
  noteChanged(session: Session, backend: string, method: string): boolean {
    const kinds = findChangedKinds(method);
    for (const kind of kinds) {
      this.#parts.cache.invalidate(backend, kind);
      this.#parts.announce(backend, kind, this.#parts.isPersonal(backend) ? session.facts.ref : undefined);
    }
    return kinds.length > 0;
  }

  /** The session has ended: what was read for it alone goes. */
  forget(session: Session): void {
    for (const backend of session.facts.server.backends) {
      if (this.#parts.isPersonal(backend)) this.#parts.cache.forget(backend, session.facts.ref);
    }
  }

  /** How many tools a server exposes, by what was read last; undefined where a list was never read, or depends on who asks. */
  countTools(server: VirtualServer): number | undefined {
    const { cache, exposer, isPersonal } = this.#parts;
    if (server.backends.some(isPersonal)) return undefined;
    const catalogs = server.backends.map((backend) => cache.latest(backend));
    if (catalogs.some(({ parts }) => parts.tools?.loadedMs === undefined)) return undefined;
    return exposer.expose(server, catalogs).tools.list.length;
  }

  #findNamed(
    session: Session,
    kind: 'tools' | 'prompts',
    name: string,
    exposure: Exposure,
  ): { backend: string; name: string } | undefined {
    const found = kind === 'tools' ? session.pins.findTool(exposure, name) : session.pins.findPrompt(exposure, name);
    this.#parts.names.note(session);
    return found;
  }

  /** A prompt by what its name means to this session, as prompts/get has it. */
  #findReference(session: Session, ref: Record<string, unknown>, exposure: Exposure): CompletionReference | undefined {
    return exposure.findCompletion(ref, (name) => this.#findNamed(session, 'prompts', name, exposure));
  }

  #see(session: Session, exposure: Exposure, kind: 'tools' | 'prompts'): void {
    session.pins.see(exposure, kind);
    this.#parts.names.note(session);
  }

  #scope(session: Session, backend: string): string {
    return this.#parts.isPersonal(backend) ? session.facts.ref : session.listScope;
  }

  #known(session: Session): Exposure {
    const { server } = session.facts;
    const catalogs = server.backends.map((backend) => this.#parts.cache.known(backend, this.#scope(session, backend)));
    return this.#parts.exposer.expose(server, catalogs);
  }

  /** Reads what is not fresh, all backends at once: the slowest one decides, up to the time limit. */
  async #read(session: Session, kinds: readonly CatalogKind[], exchange: Exchange): Promise<Exposure> {
    const { cache } = this.#parts;
    for (let round = 1; ; round++) {
      const reads: Array<Promise<unknown>> = [];
      for (const backend of session.facts.server.backends) {
        const scope = this.#scope(session, backend);
        for (const kind of kinds) {
          if (!cache.peek(backend, scope, kind))
            reads.push(cache.get(backend, scope, kind, () => this.#load(session, backend, kind, exchange)));
        }
      }
      if (reads.length > 0) {
        await Promise.all(reads);
        // What was refused by the guard says nothing about the backends: back to routing.
        if (!session.mayAct()) throw new GatewayError(session.state === 'ended' ? 'SESSION_NOT_FOUND' : 'NOT_OWNER');
      }
      const exposure = this.#known(session);
      // Race: a reload came while lists were read; the server has other backends now, or theirs are others.
      const isWhole = exposure.catalogs.every(({ parts }) => kinds.every((kind) => parts[kind] !== undefined));
      if (isWhole || round === MAX_ROUNDS) return exposure;
    }
  }

  async #load(session: Session, name: string, kind: CatalogKind, exchange: Exchange): Promise<LoadedList> {
    const { sessionBackends, ownRequests, clock, warn } = this.#parts;
    const backend = sessionBackends.get(session, name);
    if (!backend) throw new GatewayError('BACKEND_UNAVAILABLE', { details: { backend: name, reason: 'removed' } });
    const deadlineMs = Math.min(exchange.deadlineMs, clock.monotonicMs() + LIST_TIMEOUT_MS);
    const info = await backend.open(deadlineMs, exchange.headers);
    // Strict backends fail on methods of capabilities that they did not declare.
    if (!info.capabilities[CAPABILITY[kind]]) return { entries: [] };
    return loadAllPages(
      (method, params) => ownRequests.request(backend, { method, params, headers: exchange.headers, deadlineMs }),
      kind,
      (message) => warn(message, { backend: name }),
    );
  }

  /** A server none of whose backends answers has no empty list: it has no list. */
  #failIfNothingWasRead(session: Session, catalogs: Exposure['catalogs'], kind: CatalogKind): void {
    const parts = catalogs.map((catalog) => catalog.parts[kind]);
    if (session.facts.server.backends.length === 0 || parts.some((part) => part?.available)) return;
    this.#failIfUnread(catalogs, kind, true);
  }

  #failIfUnread(catalogs: Exposure['catalogs'], kind: CatalogKind, always = false): void {
    for (const { backend, parts } of catalogs) {
      const part = parts[kind];
      // What was read once is good enough to know that a name is not there.
      if (part?.available || (part?.loadedMs !== undefined && !always)) continue;
      throw new GatewayError('BACKEND_UNAVAILABLE', { message: backend, details: { backend, reason: part?.error ?? 'unknown' } });
    }
  }
}
