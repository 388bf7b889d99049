// What this worker alone knows, as the other workers and the admin API are told.
import type { BackendReport, WorkerStatus } from '../admin/worker-status.js';
import type { Catalog } from '../backends/catalog.js';
import type { Sessions } from './make-sessions.js';

export function readStatus({ table, servers, backends, cache, exposer, isPersonal }: Sessions): WorkerStatus {
  const openSessions = new Map<string, number>();
  let streams = 0;
  for (const session of table) {
    if (session.standalone) streams++;
    for (const name of session.backends.keys()) openSessions.set(name, (openSessions.get(name) ?? 0) + 1);
  }
  const tools: Record<string, number> = {};
  for (const server of servers.servers) {
    // What a backend lists for one caller says nothing about another's.
    if (server.backends.some(isPersonal)) continue;
    const catalogs = server.backends.map((name) => cache.known(name, ''));
    if (catalogs.every(({ parts }) => parts.tools?.loadedMs !== undefined))
      tools[server.id] = exposer.expose(server, catalogs).tools.list.length;
  }
  return {
    sessions: table.size,
    streams,
    backendSessions: [...openSessions.values()].reduce((sum, count) => sum + count, 0),
    backends: [...backends.values()].map(({ name, lastInfo }) => ({
      ...reportOf(name, lastInfo !== undefined, cache.known(name, '')),
      openSessions: openSessions.get(name) ?? 0,
    })),
    tools,
  };
}

/** What follows from the lists that were read last: a backend whose lists cannot be read is not up (S43). */
function reportOf(backend: string, wasOpened: boolean, { parts }: Catalog): BackendReport {
  const failed = Object.values(parts).find((part) => !part.available);
  if (failed) return { backend, state: 'degraded', reason: failed.error ?? 'unavailable' };
  return { backend, state: wasOpened || Object.keys(parts).length > 0 ? 'up' : 'unknown' };
}
