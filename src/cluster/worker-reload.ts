// A worker's share in a reload, in two steps: `prepare` makes whatever can fail and changes nothing; `apply` puts it in force within
// one turn of the event loop. Sessions live on: what they have open at a backend that stays the same is kept, the rest leaves them.
import type { Server } from 'node:http';
import type { Backend } from '../backends/backend.js';
import type { Config } from '../config/schema.js';
import type { Timer } from '../lifecycle/clock.js';
import type { Session } from '../sessions/session.js';
import { type BackendChanges, compareBackends } from './backend-changes.js';
import { makeSettings, type Settings } from './live-config.js';
import type { Sessions } from './make-sessions.js';
import type { WorkerBase } from './worker-base.js';

interface Prepared {
  readonly revision: number;
  readonly settings: Settings;
  readonly changes: BackendChanges;
  /** Those that are new. */
  readonly made: ReadonlyMap<string, Backend>;
}

const PARALLEL_ENDS = 16;
/** Between two looks for former backends that nobody uses any more; they stay at least so long. */
const CLOSE_EVERY_MS = 10_000;

export class WorkerReload {
  readonly #base: WorkerBase;
  readonly #sessions: Sessions;
  readonly #server: Server;
  #prepared: Prepared | undefined;
  #closing: Timer | undefined;

  /** @param server the public listener */
  constructor(base: WorkerBase, sessions: Sessions, server: Server) {
    this.#base = base;
    this.#sessions = sessions;
    this.#server = server;
  }

  /** @returns why it cannot be applied; undefined: it can */
  prepare(revision: number, config: Config): string | undefined {
    const { live } = this.#base;
    this.#forget();
    try {
      const changes = compareBackends(live.config, config);
      const wanted = new Set([...changes.added, ...changes.changed, ...changes.adjusted]);
      const mcpServers = Object.fromEntries(Object.entries(config.mcpServers).filter(([name]) => wanted.has(name)));
      const settings = makeSettings(config, live.current);
      this.#prepared = { revision, settings, changes, made: this.#sessions.makeBackendsOf({ ...config, mcpServers }) };
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** @returns false if it could not be applied, or not all of it */
  apply(revision: number): boolean {
    const prepared = this.#prepared;
    if (prepared?.revision !== revision) return false;
    this.#prepared = undefined;
    const { log } = this.#base;
    try {
      this.#putInForce(prepared);
      return true;
    } catch (error) {
      log.error({ err: error }, 'a configuration could not be applied: the worker ends');
      log.flush();
      return false;
    }
  }

  stop(): void {
    this.#closing?.cancel();
    this.#forget();
  }

  #putInForce({ settings, changes, made }: Prepared): void {
    const { live, clock, log } = this.#base;
    const { backends, cache, former, sessionBackends, table } = this.#sessions;
    const before = live.current;
    live.current = settings;
    const { config } = settings;
    log.level = config.log.level;
    this.#server.keepAliveTimeout = config.limits.keepAliveTimeout;
    const inForce = new Map<string, Backend>();
    for (const name of Object.keys(config.mcpServers)) {
      const backend = made.get(name) ?? backends.get(name);
      if (backend) inForce.set(name, backend);
    }
    backends.replace(inForce, clock.monotonicMs());
    for (const name of [...changes.changed, ...changes.removed]) {
      cache.forgetBackend(name);
      former.remember(before.config.mcpServers[name]);
    }
    for (const name of changes.adjusted) cache.invalidate(name);
    const homeless = [...table].filter((session) => !this.#follow(session, settings, changes));
    void this.#endAll(homeless);
    this.#tellListsChanged(before, settings, changes);
    this.#closing ??= clock.every(CLOSE_EVERY_MS, () => {
      void backends.closeUnused(sessionBackends.inUse(table), clock.monotonicMs() - CLOSE_EVERY_MS);
      if (backends.hasFormer) return;
      this.#closing?.cancel();
      this.#closing = undefined;
    });
  }

  /** @returns false if its server is gone */
  #follow(session: Session, { servers }: Settings, { changed, adjusted }: BackendChanges): boolean {
    const { sessionBackends } = this.#sessions;
    const server = servers.find(session.facts.server.id);
    if (!server) return false;
    for (const name of [...session.backends.keys()]) {
      // Still configured, perhaps, but not of this server any more: nothing of the session can reach it.
      if (!server.backends.includes(name) || changed.includes(name)) sessionBackends.end(session, name);
      else if (adjusted.includes(name)) sessionBackends.adjust(session, name);
    }
    return true;
  }

  /** Not all at once: renewals of the lease go over the same connection. */
  async #endAll(sessions: Session[]): Promise<void> {
    const { ender } = this.#sessions;
    const { warn } = this.#base;
    const work = async () => {
      for (let session = sessions.pop(); session; session = sessions.pop()) {
        await ender.end(session, 'removed').catch((error: unknown) => warn('ending failed', { error: String(error) }));
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_ENDS }, work));
  }

  #tellListsChanged(before: Settings, { servers }: Settings, { changed }: BackendChanges): void {
    for (const server of servers.servers) {
      const isOther = before.servers.find(server.id) !== server;
      if (isOther || server.backends.some((name) => changed.includes(name))) this.#sessions.listChanges.tellAll(server.id);
    }
  }

  /** Not all workers could: what was made for it goes. */
  #forget(): void {
    for (const backend of this.#prepared?.made.values() ?? []) void backend.close();
    this.#prepared = undefined;
  }
}
