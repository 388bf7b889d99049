// What of the admin API a worker answers: for the whole cluster, whichever worker is asked.
import { AdminDesk } from '../admin/admin-desk.js';
import { RedisOverview } from '../directory/redis-overview.js';
import { askStatus } from '../forward/status-call.js';
import { killSession } from '../sessions/kill-session.js';
import { TeardownDesk } from '../teardown/teardown-desk.js';
import type { Ownership } from './make-ownership.js';
import type { Sessions } from './make-sessions.js';
import type { Storage } from './make-storage.js';
import { readStatus } from './read-status.js';
import type { WorkerBase } from './worker-base.js';

export function makeAdmin(
  { config, live, clock, log }: WorkerBase,
  { redis, directory }: Storage,
  sessions: Sessions,
  { keeper, forwarder, teller }: Ownership,
): AdminDesk {
  return new AdminDesk({
    overview: new RedisOverview({ connection: redis, prefix: config.redis.prefix }),
    directory,
    clock,
    desk: new TeardownDesk(sessions.teardown.queue, clock),
    config: () => live.config,
    servers: () => live.servers.servers,
    ownId: () => keeper.id,
    ownStatus: () => readStatus(sessions, live),
    ask: (to, withinMs) => askStatus({ forwarder, clock }, to, withinMs),
    kill: (ref) => killSession({ directory, teller }, ref),
    onError: (error) => log.error({ err: error }, 'the admin API failed to answer'),
  });
}
