// Workers as far as catalogs are concerned: the parts that read, keep, merge and page lists, over real backends on real sockets.
import { CatalogCache, type CatalogChange } from '../../../src/backends/catalog-cache.js';
import { OwnRequests } from '../../../src/backends/own-requests.js';
import type { BackendSession } from '../../../src/backends/backend.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { type Epoch, mintSessionId, referenceOf, type WorkerId } from '../../../src/protocol/ids.js';
import { Exposer } from '../../../src/servers/exposer.js';
import type { LeaseKeeper } from '../../../src/sessions/lease-keeper.js';
import { ListReader } from '../../../src/sessions/list-reader.js';
import { ListRetries } from '../../../src/sessions/list-retries.js';
import { ServerWarnings } from '../../../src/sessions/server-warnings.js';
import { Session } from '../../../src/sessions/session.js';
import { SessionCatalogs } from '../../../src/sessions/session-catalogs.js';
import type { Exchange, Headers } from '../../../src/streams/exchange.js';
import { FakeClock } from '../../support/fake-clock.js';
import { type StrictBackend, type StrictBackendOptions, sendError } from '../../support/strict-backend.js';
import { server } from '../../unit/servers/catalogs.js';
import { useBackends } from '../backends-http/fixture.js';

const SELF = 'self.1' as WorkerId;
const KINDS = { 'tools/list': 'tools', 'resources/list': 'resources', 'prompts/list': 'prompts' } as const;

/** What a backend lists, by method, and how many to a page. */
export interface Listed {
  tools?: object[];
  prompts?: object[];
  resources?: object[];
  pageSize?: number;
}

/** Pages what `listed` holds at the moment; a cursor is good for the very list that gave it. */
export function pageLists(backend: StrictBackend, listed: Listed): void {
  for (const [method, kind] of Object.entries(KINDS)) {
    backend.always(method, (request, response) => {
      const all = listed[kind] ?? [];
      const { pageSize = 100 } = listed;
      const version = JSON.stringify(all).length;
      const [ofVersion, from] = String(request.message.params?.cursor ?? `${version}:0`)
        .split(':')
        .map(Number) as [number, number];
      if (ofVersion !== version) {
        sendError(response, 200, -32602, 'Invalid cursor', request.message.id);
        return;
      }
      const to = from + pageSize;
      backend.reply(request, response, {
        [kind]: all.slice(from, to),
        ...(to < all.length ? { nextCursor: `${version}:${to}` } : {}),
      });
    });
  }
}

export const OFFERS_ALL: StrictBackendOptions = { capabilities: { tools: {}, prompts: {}, resources: {}, completions: {} } };

export function useCatalogs() {
  const { startStrict, connect, createSession } = useBackends();

  const start = async (listed: Listed, options: StrictBackendOptions = OFFERS_ALL) => {
    const backend = await startStrict(options);
    pageLists(backend, listed);
    return backend;
  };

  /** A worker that knows nothing yet, with one session of a server of these backends. */
  const startWorker = (
    backends: Readonly<Record<string, StrictBackend>>,
    { personal = [] as string[], forward = [] as string[], filter = { include: ['*'], exclude: [] as string[] } } = {},
  ) => {
    const made = new Map(
      Object.entries(backends).map(([name, { url }]) => [
        name,
        connect(url, personal.includes(name) ? { forwardHeaders: forward } : {}, { name }),
      ]),
    );
    const selected = server(Object.keys(backends), { tools: filter });
    const retryClock = new FakeClock();
    const changes: CatalogChange[] = [];
    const warned: string[] = [];
    const sessions = new Set<Session>();
    // What failed is read again as soon as somebody asks.
    const cache = new CatalogCache(systemClock, { errorTtlMs: 0, onChange: (change) => void changes.push(change) });
    const exposer = new Exposer();
    const isPersonal = (name: string) => personal.includes(name);
    const warn = (message: string) => void warned.push(message);
    const open = new Map<Session, Map<string, BackendSession>>();
    const warnings = new ServerWarnings({ cache, exposer, isPersonal, warn });
    const retries: ListRetries = new ListRetries({
      clock: retryClock,
      sessions,
      reader: () => reader,
      isAvailable: ({ backend, scope, kind }) => cache.known(backend, scope).parts[kind]?.available === true,
    });
    const reader = new ListReader({
      clock: systemClock,
      ...{ cache, exposer, isPersonal, warn },
      ownRequests: new OwnRequests(),
      sessionBackends: {
        get(session, name) {
          const opened = open.get(session) ?? new Map<string, BackendSession>();
          open.set(session, opened);
          const backend = made.get(name);
          if (backend && !opened.has(name)) opened.set(name, createSession(backend));
          return opened.get(name);
        },
      },
      onUnread: (list) => retries.note(list),
    });
    const catalogs = new SessionCatalogs({
      ...{ cache, reader, warnings, isPersonal },
      names: { note: () => undefined },
      announce: () => undefined,
    });
    const openSession = () => {
      const id = mintSessionId();
      const facts = { id, ref: referenceOf(id), server: selected, principal: 'p', protocolVersion: '2025-11-25', createdMs: 0 };
      const keeper = { id: SELF, isValid: () => true } as unknown as LeaseKeeper;
      const client = { clientInfo: {}, capabilities: {} };
      const session = new Session({ ...facts, client } as never, { owner: SELF, epoch: 1 as Epoch }, keeper, 0);
      sessions.add(session);
      return session;
    };
    const exchangeOf = (withinMs = 10_000, headers: Headers = {}) =>
      ({ headers, deadlineMs: performance.now() + withinMs }) as unknown as Exchange;
    const own = openSession();
    const page = async (kind: Parameters<SessionCatalogs['list']>[1], cursor?: string, session = own, exchange = exchangeOf()) =>
      JSON.parse(await catalogs.list(session, kind, cursor, exchange));
    return { cache, catalogs, changes, exchangeOf, openSession, page, retryClock, session: own, selected, warned, warnings };
  };

  return { start, startStrict, startWorker };
}

export const tools = (count: number, prefix = 't') =>
  Array.from({ length: count }, (_, i) => ({
    name: `${prefix}${i}`,
    description: `number ${i}`,
    inputSchema: { type: 'object' },
  }));

export const namesOf = (page: { tools: Array<{ name: string }> }) => page.tools.map(({ name }) => name);

export async function failureOf(promise: Promise<unknown>): Promise<GatewayError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof GatewayError)) throw error;
  return error;
}
