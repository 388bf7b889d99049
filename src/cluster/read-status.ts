// What this worker alone knows, as the other workers and the admin API are told.
import type { WorkerStatus } from '../admin/worker-status.js';
import type { ServerWarning } from '../sessions/server-warnings.js';
import type { LiveConfig } from './live-config.js';
import type { Sessions } from './make-sessions.js';

export function readStatus({ table, serverWarnings, health }: Sessions, live: LiveConfig): WorkerStatus {
  const sessions = [...table];
  const tools: Record<string, number> = {};
  const warnings: Record<string, readonly ServerWarning[]> = {};
  for (const server of live.servers.servers) {
    const count = serverWarnings.countTools(server);
    if (count !== undefined) tools[server.id] = count;
    const found = serverWarnings.list(server);
    if (found !== undefined) warnings[server.id] = found;
  }
  return {
    sessions: table.size,
    streams: table.readers?.open ?? 0,
    backendSessions: sessions.reduce((sum, { backends }) => sum + backends.size, 0),
    backends: health.list(),
    tools,
    warnings,
  };
}
