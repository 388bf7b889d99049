// What a session's virtual server exposes: whose a name, a uri or a reference is, and one page of a list. What is not listed cannot be
// called.
import { type CatalogKind, findChangedKinds } from '../backends/catalog.js';
import type { CatalogCache } from '../backends/catalog-cache.js';
import type { ErrorCode } from '../errors/catalog.js';
import { GatewayError } from '../errors/gateway-error.js';
import type { CompletionReference, Exposure } from '../servers/exposure.js';
import type { Exchange } from '../streams/exchange.js';
import type { ListReader } from './list-reader.js';
import type { NameSaver } from './name-saver.js';
import type { ServerWarnings } from './server-warnings.js';
import type { Session } from './session.js';

export type ListKind = CatalogKind;

export interface SessionCatalogsParts {
  readonly cache: Pick<CatalogCache, 'invalidate' | 'forget'>;
  readonly reader: Pick<ListReader, 'read' | 'known'>;
  readonly names: Pick<NameSaver, 'note'>;
  readonly warnings: Pick<ServerWarnings, 'note'>;
  /** Whether what a backend lists depends on who asks (it gets headers of the caller). */
  readonly isPersonal: (backend: string) => boolean;
  /** Tells every session that uses the backend, here and on the other workers; `sessionRef`: only that one is concerned. */
  readonly announce: (backend: string, kind: CatalogKind, sessionRef: string | undefined) => void;
}

const PAGE_SIZE = 1000;

const NOT_FOUND: Readonly<Record<'tools' | 'prompts', ErrorCode>> = { tools: 'TOOL_NOT_FOUND', prompts: 'PROMPT_NOT_FOUND' };
/** Which lists say whose a reference of a completion is; none do of what is no such reference. */
function kindsOf(ref: Record<string, unknown>): readonly CatalogKind[] {
  if (ref.type === 'ref/prompt' && typeof ref.name === 'string') return ['prompts'];
  return ref.type === 'ref/resource' && typeof ref.uri === 'string' ? ['resources', 'resourceTemplates'] : [];
}

export class SessionCatalogs {
  readonly #parts: SessionCatalogsParts;

  constructor(parts: SessionCatalogsParts) {
    this.#parts = parts;
  }

  /** One page of a merged list, as JSON text of the result. @throws GatewayError BAD_ARGUMENT; BACKEND_UNAVAILABLE if none could be read */
  async list(session: Session, kind: CatalogKind, cursor: string | undefined, exchange: Exchange): Promise<string> {
    const exposure = await this.#parts.reader.read(session, [kind], exchange);
    this.#failIfNothingWasRead(session, exposure.catalogs, kind);
    // What the client is shown now is what these names mean to it from now on.
    if (kind === 'tools' || kind === 'prompts') this.#see(session, exposure, kind);
    if (kind === 'tools') this.#parts.warnings.note(session.facts.server, exposure.tools);
    const page = exposure.listJson(kind, cursor, PAGE_SIZE);
    if (page.kind === 'badCursor')
      throw new GatewayError('BAD_ARGUMENT', { message: 'cursor is not (or no longer) one of this list: list anew, without it' });
    return page.json;
  }

  /** What is known now, without waiting: the hot path of tools/call. */
  findNamedNow(session: Session, kind: 'tools' | 'prompts', name: string): { backend: string; name: string } | undefined {
    return this.#findNamed(session, kind, name, this.#parts.reader.known(session));
  }

  /** @throws GatewayError TOOL_NOT_FOUND, PROMPT_NOT_FOUND; BACKEND_UNAVAILABLE where a backend that may have it cannot be read */
  async findNamed(
    session: Session,
    kind: 'tools' | 'prompts',
    name: string,
    exchange: Exchange,
  ): Promise<{ backend: string; name: string }> {
    const exposure = await this.#parts.reader.read(session, [kind], exchange);
    if (kind === 'tools') this.#parts.warnings.note(session.facts.server, exposure.tools);
    const found = this.#findNamed(session, kind, name, exposure);
    if (found) return found;
    this.#failIfUnread(exposure.catalogs, [kind]);
    const shown = name.slice(0, 128);
    // It is listed: it would not do to call it unknown and leave it at that.
    const isAnother = exposure[kind].byName.has(name);
    throw new GatewayError(NOT_FOUND[kind], {
      message: isAnother ? `${shown} was another one when this session saw it first: open a new session to use it` : shown,
    });
  }

  /** Whose resource it is: listed, or described by a template; with one backend there is no doubt. */
  async findResource(session: Session, uri: string, exchange: Exchange): Promise<string> {
    const { backends } = session.facts.server;
    const [only] = backends;
    if (backends.length === 1 && only !== undefined) return only;
    const exposure = await this.#parts.reader.read(session, ['resources', 'resourceTemplates'], exchange);
    const [found] = exposure.findResource(uri);
    if (found) return found.backend;
    this.#failIfUnread(exposure.catalogs, ['resources', 'resourceTemplates']);
    throw new GatewayError('RESOURCE_NOT_FOUND', { details: { uri } });
  }

  /**
   * The backend that a completion is about, and the reference by the backend's own name.
   * @throws GatewayError BAD_ARGUMENT; BACKEND_UNAVAILABLE where a backend that may have it cannot be read
   */
  async findReference(session: Session, ref: Record<string, unknown>, exchange: Exchange): Promise<CompletionReference> {
    const { reader } = this.#parts;
    const known = this.#findReference(session, ref, reader.known(session));
    if (known) return known;
    const kinds = kindsOf(ref);
    if (kinds.length > 0) {
      const exposure = await reader.read(session, kinds, exchange);
      const found = this.#findReference(session, ref, exposure);
      if (found) return found;
      this.#failIfUnread(exposure.catalogs, kinds);
    }
    throw new GatewayError('BAD_ARGUMENT', { message: 'params.ref names neither a prompt nor a resource of this server' });
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

  /** A server none of whose backends answers has no empty list: it has no list. */
  #failIfNothingWasRead(session: Session, catalogs: Exposure['catalogs'], kind: CatalogKind): void {
    const parts = catalogs.map((catalog) => catalog.parts[kind]);
    if (session.facts.server.backends.length === 0 || parts.some((part) => part?.available)) return;
    this.#failIfUnread(catalogs, [kind], true);
  }

  #failIfUnread(catalogs: Exposure['catalogs'], kinds: readonly CatalogKind[], always = false): void {
    for (const { backend, parts } of catalogs) {
      // What was read once is good enough to know that a name is not there.
      const unread = kinds.find((kind) => !parts[kind]?.available && (always || parts[kind]?.loadedMs === undefined));
      if (unread === undefined) continue;
      const reason = parts[unread]?.error ?? 'unknown';
      throw new GatewayError('BACKEND_UNAVAILABLE', { message: backend, details: { backend, reason } });
    }
  }
}
