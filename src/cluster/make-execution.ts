// The one execution path of a worker: what the public edge and the internal listener hand their exchanges to.
import { VERSION } from '../config/version.js';
import type { GatewayError } from '../errors/gateway-error.js';
import { serveStatus } from '../forward/status-call.js';
import type { SessionRef } from '../protocol/ids.js';
import { Admission } from '../routing/admission.js';
import { Execution } from '../routing/execute.js';
import { HoldRoom } from '../routing/hold-room.js';
import { OwnerCache } from '../routing/owner-cache.js';
import { makeProbe } from '../routing/probe.js';
import { QueueWatch } from '../routing/queue-watch.js';
import { SharedReads } from '../routing/shared-reads.js';
import { serveEnd } from '../sessions/end-over-hop.js';
import { CallResumer } from '../sessions/resume-call.js';
import { InitializeServer } from '../sessions/serve-initialize.js';
import { RequestServer } from '../sessions/serve-request.js';
import { SessionServer } from '../sessions/serve-session.js';
import { StandingServer } from '../sessions/serve-standing.js';
import type { Exchange } from '../streams/exchange.js';
import { KeepAlive } from '../streams/keep-alive.js';
import type { Ownership } from './make-ownership.js';
import type { Sessions } from './make-sessions.js';
import type { Storage } from './make-storage.js';
import { makeAudit } from './make-audit.js';
import { readStatus } from './read-status.js';
import { makeRequestLog } from './request-log.js';
import type { WorkerBase } from './worker-base.js';

export function makeExecution(
  { config, live, clock, log, metrics, warn }: WorkerBase,
  { directory }: Storage,
  sessions: Sessions,
  { keeper, takeOver, forwarder, endHere, teller, opener }: Ownership,
  onRefused: (error: GatewayError) => void,
) {
  const { table, backends, callQueues, ender, ownRequests, sessionBackends, catalogs, standing, clientRequests } = sessions;
  const keepAlive = new KeepAlive(clock);
  const onBackendError = (backend: string, error: GatewayError) =>
    metrics.backendErrors.inc(backend, String(error.details?.reason ?? error.code));
  const requests = new RequestServer({
    clock,
    keepAlive,
    sessionBackends,
    catalogs,
    standing: new StandingServer({ clock, sessionBackends, catalogs, ownRequests, standing }),
    clientRequests,
    onBackendError,
  });
  const maxCallMs = () => live.config.limits.requestTimeout;
  const resumer = new CallResumer({ clock, maxCallMs, onBackendError });
  const audit = makeAudit(log);
  const sessionServer = new SessionServer({
    clock,
    ender,
    keepAlive,
    requests,
    resumer,
    clientRequests,
    standing,
    audit,
  });
  const initializer = new InitializeServer({
    opener,
    findServer: (id) => live.servers.find(id),
    infoOf: (name) => backends.get(name)?.lastInfo,
    version: VERSION,
    onStarted: () => metrics.sessionStarts.inc(),
    abandon: (session) => {
      ender.end(session, 'abandoned').catch((error: unknown) => warn('ending failed', { error: String(error) }));
    },
  });
  const execution = new Execution({
    table,
    owners: new OwnerCache(),
    directory: new SharedReads(directory),
    keeper,
    clock,
    hold: new HoldRoom(clock, makeProbe({ directory, keeper, leaseMs: config.internal.lease })),
    forwarder,
    get holdMs() {
      return live.config.limits.hold;
    },
    serve: (session, exchange) => sessionServer.serve(session, exchange),
    open: (exchange) => initializer.serve(exchange),
    takeOver: (id, from, record) => takeOver.takeOver(id, from, record),
    end: (exchange, ref, cause) => serveEnd(endHere, exchange, ref, cause),
    status: (exchange, version) => serveStatus(exchange, version, () => readStatus(sessions, live)),
    teller,
    metrics: {
      held: (outcome) => metrics.held.inc(outcome),
      forwarded: (durationMs) => metrics.forwardDuration.observe(durationMs / 1000),
    },
    log: makeRequestLog(log, metrics, clock),
    audit,
    warn,
  });
  const watch = new QueueWatch({
    clock,
    boundMs: () => live.config.limits.queueDelay,
    busyShare: makeBusyShare(),
    afterTurn: (run) => void setImmediate(run),
    callQueues,
  });
  // Without authentication all callers are one: a bound meant for one of many would be a bound for all.
  const areToldApart = (config.auth?.mode ?? 'none') !== 'none';
  const admission = new Admission({
    watch,
    maxRequests: () => live.config.limits.requests,
    maxPerPrincipal: () => (areToldApart ? live.config.limits.requestsPerPrincipal : undefined),
    execute: (exchange) => execution.execute(exchange),
    onRefused,
  });
  metrics.overloaded.measure(() => (watch.isOverloaded ? 1 : 0));
  metrics.openRequests.measure(() => admission.open);
  return {
    endedInPlace(ref: SessionRef): void {
      execution.endedInPlace(ref);
      // The owner itself, awake again: it looks into the record at once instead of when it is told next.
      if (!table.getByRef(ref)) return;
      teller.tell(ref, 'closing').catch((error: unknown) => warn('ending failed', { session: ref, error: String(error) }));
    },
    /** Requests under way; the streams of edges are not counted. */
    openExchanges: () => admission.open,
    execute: (exchange: Exchange) => admission.execute(exchange),
    stopWatching: () => watch.stop(),
  };
}

function makeBusyShare(): () => number {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization;
  };
}
