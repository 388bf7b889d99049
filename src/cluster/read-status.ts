// What this worker alone knows, as the other workers and the admin API are told.
import type { BackendReport, WorkerStatus } from '../admin/worker-status.js';
import type { Sessions } from './make-sessions.js';

export function readStatus({ table, servers, backends, catalogs }: Sessions): WorkerStatus {
  const openSessions = new Map<string, number>();
  let streams = 0;
  for (const session of table) {
    if (session.standalone) streams++;
    for (const name of session.backends.keys()) openSessions.set(name, (openSessions.get(name) ?? 0) + 1);
  }
  const tools: Record<string, number> = {};
  for (const server of servers.servers) {
    const count = catalogs.countTools(server);
    if (count !== undefined) tools[server.id] = count;
  }
  return {
    sessions: table.size,
    streams,
    backendSessions: [...openSessions.values()].reduce((sum, count) => sum + count, 0),
    backends: [...backends.values()].map(({ name, lastInfo }) => ({
      ...reportOf(name, lastInfo !== undefined, catalogs.failureOf(name)),
      openSessions: openSessions.get(name) ?? 0,
    })),
    tools,
  };
}

/** A backend whose lists cannot be read is not up (S43). */
function reportOf(backend: string, wasOpened: boolean, failure: string | undefined): BackendReport {
  if (failure !== undefined) return { backend, state: 'degraded', reason: failure };
  return { backend, state: wasOpened ? 'up' : 'unknown' };
}
