// The admin listener of the pod: probes, metrics, the admin API and the dashboard. What only workers know is asked of them.
import { makeAdminApp } from '../admin/admin-app.js';
import { type AdminServer, listenForAdmin } from '../admin/admin-server.js';
import { readDashboard } from '../admin/dashboard-files.js';
import { addressOf } from '../config/address.js';
import { VERSION } from '../config/version.js';
import type { Logger } from '../observability/log.js';
import type { WorkerAsker } from './ask-worker.js';
import type { MetricsCollector } from './collect-metrics.js';
import type { readPodStatus } from './pod-status.js';
import type { PrimaryConfig } from './primary-config.js';

export interface AdminParts {
  /** `admin.listen`. */
  readonly listen: string;
  /** As reloads leave it: tokens and the guard of hosts. */
  readonly live: PrimaryConfig;
  readonly collector: MetricsCollector;
  readonly asker: WorkerAsker;
  readonly status: () => ReturnType<typeof readPodStatus>;
  readonly log: Logger;
}

/** @throws StartError if the address cannot be listened at */
export function serveAdmin({ listen, live, collector, asker, status, log }: AdminParts): Promise<AdminServer> {
  // Who looked and who killed is told whatever log.level says.
  const audit = log.child({ audit: true }, { level: 'info' });
  const app = makeAdminApp({
    status,
    scrape: () => collector.scrape(),
    get metricsToken() {
      return live.current.admin.metricsToken;
    },
    hostGuard: live.adminGuard,
    api: {
      get token() {
        return live.current.admin.token;
      },
      ask: (request) => asker.ask(request),
      pod: () => ({ version: VERSION, pid: process.pid, ...status() }),
      audit: (entry) => audit.info(entry, 'admin API'),
    },
    dashboard: readDashboard(),
    onError: (error) => log.error({ err: error }, 'the admin listener failed to answer'),
  });
  return listenForAdmin(addressOf(listen), app);
}
