// Reads the lists of a session's backends into the worker's cache, through the session's own backend sessions, and merges them.
import type { CatalogKind, CatalogPart, LoadedList } from '../backends/catalog.js';
import type { CatalogCache } from '../backends/catalog-cache.js';
import { isFaultOfCaller } from '../backends/catalog-load.js';
import { loadAllPages } from '../backends/catalog-pages.js';
import { makeAnswerBudget, type OwnRequests } from '../backends/own-requests.js';
import { GatewayError } from '../errors/gateway-error.js';
import type { Clock } from '../lifecycle/clock.js';
import type { Exposer } from '../servers/exposer.js';
import type { Exposure } from '../servers/exposure.js';
import type { Exchange, Headers } from '../streams/exchange.js';
import type { Session } from './session.js';
import type { SessionBackends } from './session-backends.js';

export interface ListReaderParts {
  readonly clock: Clock;
  readonly cache: Pick<CatalogCache, 'get' | 'peek' | 'known'>;
  readonly exposer: Exposer;
  readonly sessionBackends: Pick<SessionBackends, 'get'>;
  readonly ownRequests: Pick<OwnRequests, 'request'>;
  /** Whether what a backend lists depends on who asks (it gets headers of the caller). */
  readonly isPersonal: (backend: string) => boolean;
  /** A list could not be read, for a reason that may pass without anybody here hearing of it. */
  readonly onUnread: (list: ListPlace) => void;
  readonly warn: (message: string, details: Record<string, unknown>) => void;
}

/** One list, as the cache keeps it. */
export interface ListPlace {
  readonly backend: string;
  readonly scope: string;
  readonly kind: CatalogKind;
}

/** A backend that does not answer in this time is left out of a list. A stdio backend has to start within it, too. */
export const LIST_TIMEOUT_MS = 15_000;
/** Reloads come by hand; each further round answers to one that came meanwhile. */
const MAX_ROUNDS = 3;

/** Capability under which a backend offers a list. */
const CAPABILITY: Readonly<Record<CatalogKind, string>> = {
  tools: 'tools',
  prompts: 'prompts',
  resources: 'resources',
  resourceTemplates: 'resources',
};

export class ListReader {
  readonly #parts: ListReaderParts;

  constructor(parts: ListReaderParts) {
    this.#parts = parts;
  }

  /** Whom the session shares lists of the backend with. */
  scopeOf(session: Session, backend: string): string {
    return this.#parts.isPersonal(backend) ? session.facts.ref : session.listScope;
  }

  /** What is known now, without waiting. */
  known(session: Session): Exposure {
    const { cache, exposer } = this.#parts;
    const { server } = session.facts;
    const catalogs = server.backends.map((backend) => cache.known(backend, this.scopeOf(session, backend)));
    return exposer.expose(server, catalogs);
  }

  /**
   * Reads what is not fresh, all backends at once: the slowest one decides, up to the time limit.
   * @throws GatewayError SESSION_NOT_FOUND, NOT_OWNER
   */
  async read(
    session: Session,
    kinds: readonly CatalogKind[],
    { headers, deadlineMs: callerMs }: Pick<Exchange, 'headers' | 'deadlineMs'>,
  ): Promise<Exposure> {
    // One for all rounds: whatever changes meanwhile, the caller waits no longer than this.
    const deadlineMs = this.#deadline(callerMs);
    for (let round = 1; ; round++) {
      const reads: Array<Promise<unknown>> = [];
      for (const backend of session.facts.server.backends) {
        for (const kind of kinds) {
          const read = this.#readOne(session, backend, kind, headers, deadlineMs);
          if (read) reads.push(read);
        }
      }
      if (reads.length > 0) {
        await Promise.all(reads);
        // What was refused by the guard says nothing about the backends: back to routing.
        if (!session.mayAct()) throw new GatewayError(session.state === 'ended' ? 'SESSION_NOT_FOUND' : 'NOT_OWNER');
      }
      const exposure = this.known(session);
      // Race: a reload came while lists were read; the server has other backends now, or theirs are others.
      const isWhole = exposure.catalogs.every(({ parts }) => kinds.every((kind) => parts[kind] !== undefined));
      if (isWhole || round === MAX_ROUNDS) return exposure;
    }
  }

  /** One list alone, for nobody who waits. */
  async readAgain(session: Session, backend: string, kind: CatalogKind, headers: Headers): Promise<void> {
    await this.#readOne(session, backend, kind, headers, this.#deadline(Number.POSITIVE_INFINITY));
  }

  /** @returns undefined if it is fresh */
  #readOne(
    session: Session,
    backend: string,
    kind: CatalogKind,
    headers: Headers,
    deadlineMs: number,
  ): Promise<CatalogPart> | undefined {
    const { cache } = this.#parts;
    const scope = this.scopeOf(session, backend);
    if (cache.peek(backend, scope, kind)) return undefined;
    return cache.get(backend, scope, kind, () => this.#load(session, { backend, scope, kind }, headers, deadlineMs));
  }

  #deadline(callerMs: number): number {
    return Math.min(callerMs, this.#parts.clock.monotonicMs() + LIST_TIMEOUT_MS);
  }

  async #load(session: Session, list: ListPlace, headers: Headers, deadlineMs: number): Promise<LoadedList> {
    const { sessionBackends, ownRequests, isPersonal, onUnread, warn } = this.#parts;
    const { backend: name, kind } = list;
    const backend = sessionBackends.get(session, name);
    if (!backend) throw new GatewayError('BACKEND_UNAVAILABLE', { details: { backend: name, reason: 'removed' } });
    let isOpen = false;
    try {
      const info = await backend.open(deadlineMs, headers);
      isOpen = true;
      // Strict backends fail on methods of capabilities that they did not declare.
      if (!info.capabilities[CAPABILITY[kind]]) return { entries: [] };
      const budget = makeAnswerBudget();
      return await loadAllPages(
        (method, params) => ownRequests.request(backend, { method, params, headers, deadlineMs, budget }),
        kind,
        (message) => warn(message, { backend: name }),
      );
    } catch (error) {
      // To refuse a caller's credentials may be right, and to send them again and again is not.
      if (!isFaultOfCaller(error) && (isOpen || !isPersonal(name))) onUnread(list);
      throw error;
    }
  }
}
