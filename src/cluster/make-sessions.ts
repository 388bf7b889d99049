// The sessions of this worker and what they reach: backends, catalogs, and the teardown of what they leave behind.
import { BackendTable } from '../backends/backend-table.js';
import { CatalogCache } from '../backends/catalog-cache.js';
import type { CatalogKind } from '../backends/catalog.js';
import { isSharedScope } from '../backends/catalog-slots.js';
import type { CallQueues } from '../backends/http/call-queue.js';
import { OwnRequests } from '../backends/own-requests.js';
import { readEnvironment } from '../config/environment.js';
import type { Config } from '../config/schema.js';
import { VERSION } from '../config/version.js';
import { Broadcast } from '../redis/broadcast.js';
import { Exposer } from '../servers/exposer.js';
import { BackendLeave } from '../sessions/backend-leave.js';
import { SessionEnder } from '../sessions/end-session.js';
import { ClientRequests } from '../sessions/client-requests.js';
import { ListChanges } from '../sessions/list-changes.js';
import { ListReader } from '../sessions/list-reader.js';
import { ListRetries } from '../sessions/list-retries.js';
import { noteNotification } from '../sessions/note-notification.js';
import { NameSaver } from '../sessions/name-saver.js';
import { SessionBackends } from '../sessions/session-backends.js';
import { ServerWarnings } from '../sessions/server-warnings.js';
import { SessionCatalogs } from '../sessions/session-catalogs.js';
import { SessionTable } from '../sessions/session-table.js';
import { StandingRequests } from '../sessions/standing-requests.js';
import { FormerBackends } from './former-backends.js';
import { makeBackends, makeCredentialsOf } from './make-backends.js';
import { makeBelongs } from './make-belongs.js';
import { makeHealth } from './make-health.js';
import { makeReaders } from './make-readers.js';
import type { Storage } from './make-storage.js';
import { makeTokens } from './make-tokens.js';
import { makeTeardown } from './make-teardown.js';
import type { StdioGroup } from './messages.js';
import type { WorkerBase } from './worker-base.js';

export type Sessions = ReturnType<typeof makeSessions>;

/** @param onGroup a stdio child (leader of its process group) was started or has ended */
export function makeSessions(base: WorkerBase, storage: Storage, onGroup: (group: StdioGroup, alive: boolean) => void) {
  const { start, config, live, clock, log, metrics, keyring, warn, onCommand } = base;
  const { redis, subscriber, directory } = storage;
  const table = new SessionTable(makeReaders(base));
  const common = { keyring, clock, log, version: VERSION };
  const health = makeHealth(base, storage, () => ({ cache, listChanges, teardown }));
  const callQueues: CallQueues = new Set();
  const tokens = makeTokens(base, storage);
  const own = { gatewayEnvironment: readEnvironment(), onGroup, watch: health.watch, tokens, callQueues };
  const makeBackendsOf = (of: Config) => makeBackends({ ...common, ...own, config: of });
  const backends = new BackendTable(makeBackendsOf(config), health.follow);
  const former = new FormerBackends({
    ...common,
    config: () => live.config,
    backend: (name) => backends.get(name),
    credentialsOf: makeCredentialsOf({ ...common, tokens, limits: config.limits }),
  });
  const backendFor = (name: string, url: string | undefined) => former.find(name, url);
  const teardown = makeTeardown({
    redisUrl: start.redisUrl,
    config,
    keyring,
    clock,
    backendFor,
    directory,
    metrics,
    log,
    onCommand,
  });
  const ender = new SessionEnder({
    directory,
    clock,
    table,
    queue: teardown.queue,
    onEnded: (session, reason) => {
      metrics.sessionEnds.inc(reason);
      if (session) catalogs.forget(session);
    },
    warn,
  });
  const ownRequests = new OwnRequests();
  const standing = new StandingRequests({
    ...{ ownRequests, clock, keyring, directory, warn },
    backendOf: (session, name) => sessionBackends.get(session, name),
  });
  const clientRequests = new ClientRequests({
    keyring,
    clock,
    count: (outcome) => metrics.clientRequests.inc(outcome),
    requestTimeoutMs: () => live.config.limits.requestTimeout,
    noteAnswered: ({ facts, token }, mark) => void directory.noteAnswered(facts.ref, token, mark).catch(() => undefined),
    noteAsked: ({ facts, token }, id) => void directory.noteAsked(facts.ref, token, id).catch(() => undefined),
  });
  const sessionBackends: SessionBackends = new SessionBackends({
    directory,
    clock,
    backends,
    belongs: makeBelongs(live, keyring),
    leave: new BackendLeave({
      directory,
      clock,
      queue: teardown.queue,
      maxCallMs: () => live.config.limits.requestTimeout,
    }),
    clientRequests,
    standing,
    onNotification: (session, backend, json) => noteNotification(session, backend, json, catalogs, clock.monotonicMs()),
    onStateLost: (session, backend, reason) => {
      warn('the state of a backend is lost, the session ends', { session: session.facts.ref, backend, reason });
      void ender.end(session, 'state_lost').catch((error: unknown) => warn('ending failed', { error: String(error) }));
    },
    onDiscard: (session, backend, value) => teardown.discard(session.facts.ref, backend, value),
    onFenced: () => metrics.fenced.inc(),
    onReinitialized: (backend) => {
      metrics.backendReinitializations.inc();
      cache.invalidate(backend);
    },
  });
  const listChanges = new ListChanges(table, clock);
  const cache = new CatalogCache(clock, {
    // A backend that came back, or one that is down now: its sessions hear of it whoever noticed.
    onChange: ({ backend, kind, scope }) => listChanges.tell(backend, kind, isSharedScope(scope) ? undefined : scope),
  });
  const broadcast = new Broadcast(redis, subscriber, `${config.redis.prefix}catalogs`, (text) => {
    const [backend, kind] = text.split(' ') as [string, CatalogKind];
    cache.invalidate(backend, kind);
    listChanges.tell(backend, kind);
  });
  const names = new NameSaver({ directory, clock });
  const isPersonal = (name: string) => {
    const backend = live.config.mcpServers[name];
    return backend !== undefined && backend.type !== 'stdio' && backend.forwardHeaders.length > 0;
  };
  const exposer = new Exposer({ warn: (server, message) => warn(message, { server }) });
  const serverWarnings = new ServerWarnings({ cache, exposer, isPersonal, warn });
  const listRetries = new ListRetries({
    clock,
    sessions: table,
    reader: () => reader,
    isAvailable: ({ backend, scope, kind }) => cache.known(backend, scope).parts[kind]?.available === true,
  });
  const reader = new ListReader({
    ...{ clock, cache, exposer, sessionBackends, ownRequests, isPersonal, warn },
    onUnread: (list) => listRetries.note(list),
  });
  const catalogs: SessionCatalogs = new SessionCatalogs({
    ...{ cache, reader, names, warnings: serverWarnings, isPersonal },
    announce: (backend, kind, sessionRef) => {
      listChanges.tell(backend, kind, sessionRef);
      if (sessionRef === undefined) broadcast.publish(`${backend} ${kind}`);
    },
  });

  metrics.sessions.measure(() => table.size);
  metrics.streams.measure(() => table.readers?.open ?? 0);
  metrics.backendSessions.measure(() => [...table].reduce((sum, session) => sum + session.backends.size, 0));
  return {
    ...{ table, backends, callQueues, makeBackendsOf, health, former, teardown, ender },
    ...{ ownRequests, sessionBackends, clientRequests, standing, names, cache, listChanges, catalogs, serverWarnings },
  };
}
