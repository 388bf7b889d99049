// The composition root of a worker: the only place that constructs its parts, in the order in which they may begin, and stops them
// in reverse. Each stage that a stop waits for has a budget of its own.
import { CatalogCache } from '../backends/catalog-cache.js';
import type { CatalogKind } from '../backends/catalog.js';
import { OwnRequests } from '../backends/own-requests.js';
import { readEnvironment } from '../config/environment.js';
import type { Config } from '../config/schema.js';
import { VERSION } from '../config/version.js';
import { RedisDirectory } from '../directory/redis-directory.js';
import { makeHostGuard } from '../edge/host-guard.js';
import { ANONYMOUS } from '../edge/authenticate.js';
import { McpEndpoint } from '../edge/mcp-endpoint.js';
import { makePublicServer } from '../edge/public-server.js';
import { EXIT, StartError } from '../errors/start-error.js';
import type { ExchangeHandler } from '../forward/forward.js';
import { DEFAULT_HOP_LIMITS } from '../forward/limits.js';
import { Peers } from '../forward/peers.js';
import { pause, systemClock } from '../lifecycle/clock.js';
import { makeLogger } from '../observability/log.js';
import { Metrics } from '../observability/metrics.js';
import { Broadcast } from '../redis/broadcast.js';
import { openOwnershipConnection, openSubscriberConnection, waitTimeoutMs } from '../redis/connect.js';
import { whenUp } from '../redis/ready.js';
import { Execution } from '../routing/execute.js';
import { HoldRoom } from '../routing/hold-room.js';
import { OwnerCache } from '../routing/owner-cache.js';
import { makeProbe } from '../routing/probe.js';
import { SharedReads } from '../routing/shared-reads.js';
import { makeKeyring } from '../secrets/keyring.js';
import { Exposer } from '../servers/exposer.js';
import { makeServers } from '../servers/virtual-server.js';
import { Drain } from '../sessions/drain.js';
import { EndHere } from '../sessions/end-here.js';
import { askToEnd, serveEnd } from '../sessions/end-over-hop.js';
import { IdleRelease } from '../sessions/release-idle.js';
import { SessionReleaser } from '../sessions/release-session.js';
import { SessionEnder } from '../sessions/end-session.js';
import { LeaseKeeper } from '../sessions/lease-keeper.js';
import { ListChanges } from '../sessions/list-changes.js';
import { Liveness } from '../sessions/liveness.js';
import { SessionOpener } from '../sessions/open-session.js';
import { Reclaim } from '../sessions/reclaim.js';
import { Reconnect } from '../sessions/reconnect.js';
import { Regain } from '../sessions/regain.js';
import { InitializeServer } from '../sessions/serve-initialize.js';
import { RequestServer } from '../sessions/serve-request.js';
import { SessionServer } from '../sessions/serve-session.js';
import { SessionBackends } from '../sessions/session-backends.js';
import { SessionCatalogs } from '../sessions/session-catalogs.js';
import { SessionTable } from '../sessions/session-table.js';
import { Sweep } from '../sessions/sweep.js';
import { TakeOver } from '../sessions/take-over.js';
import { OwnerTeller } from '../sessions/tell-owner.js';
import type { Exchange } from '../streams/exchange.js';
import { KeepAlive } from '../streams/keep-alive.js';
import { endGuarded } from './end-guarded.js';
import { KeptListener } from './kept-listener.js';
import { makeBackends } from './make-backends.js';
import { noteNotification } from '../sessions/note-notification.js';
import { makeRequestLog } from './request-log.js';
import { makeTeardown } from './make-teardown.js';
import { Readiness } from './readiness.js';
import { SelfProbe } from './self-probe.js';
import { describeFailure, type StartMessage, WorkerChannel } from './worker-channel.js';
import { closePublicly, hopLimits, listenForWorkers, listenPublicly } from './worker-listeners.js';

/** Given to connections that the primary had accepted for us when we left: an exit at once leaves a few of them hanging. */
const DISCONNECT_GRACE_MS = 500;
const STEP_BUDGET_MS = 2000;
/** An orphan tries for so long to free its sessions at once; else they are free when its lease is over. */
const LEAVE_BUDGET_MS = 500;

/** What a running worker can be asked. */
interface Running {
  readonly metrics: Metrics;
  drain(): Promise<void>;
  /** Acts on nothing any more and gives up the lease. */
  leave(): Promise<void>;
}

/**
 * @param worker this process
 * @param exit ends the process
 */
export function runWorker(worker: NodeJS.Process, exit: (code: number) => never): void {
  // A terminal sends its signals to every process of the group; workers follow their primary alone.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) worker.on(signal, () => undefined);
  const own = new OwnProcesses();
  let running: Running | undefined;
  const fail = async (error: unknown) => {
    const code = error instanceof StartError ? error.exitCode : EXIT.forced;
    await channel.reportFailure(code, error instanceof StartError ? error.message : describeFailure(error));
    exit(code);
  };
  const channel = new WorkerChannel(worker, {
    start(message) {
      own.guarded = message.guardedProcesses;
      startWorker(message, channel, own, exit).then((started) => {
        running = started;
      }, fail);
    },
    drain() {
      if (!running) exit(EXIT.ok);
      running.drain().then(() => exit(EXIT.ok), fail);
    },
    guarded(processes) {
      own.guarded = processes;
    },
    collect: () => running?.metrics.snapshot() ?? [],
    orphaned() {
      // Children first, as a primary would: what they hold must be gone before somebody takes the sessions over. The guarded processes
      // (an embedded Redis among them) belong to the primary, and nobody is left to end them.
      endGuarded([...own.groups.values(), ...own.guarded]);
      const left = running?.leave() ?? Promise.resolve();
      Promise.race([left, pause(systemClock, LEAVE_BUDGET_MS)]).finally(() => exit(EXIT.forced));
    },
  });
}

/** Processes that must not outlive this one. */
export class OwnProcesses {
  /** Of the primary: ended by whoever survives it. */
  guarded: StartMessage['guardedProcesses'] = [];
  readonly groups = new Map<number, StartMessage['guardedProcesses'][number]>();
}

async function startWorker(
  start: StartMessage,
  channel: WorkerChannel,
  own: OwnProcesses,
  exit: (code: number) => never,
): Promise<Running> {
  const config = start.config as Config;
  const clock = systemClock;
  const log = makeLogger({
    level: config.log.level,
    format: config.log.format,
    isTty: process.stdout.isTTY === true,
    worker: start.index,
  });
  const metrics = new Metrics({ worker: start.index, version: VERSION });
  const keyring = makeKeyring(start.secrets);
  const warn = (message: string, details: Record<string, unknown>) => log.warn(details, message);
  const leaseMs = config.internal.lease;
  const idleTimeoutMs = config.sessions.idleTimeout;

  // --- redis, directory
  const onCommand = () => metrics.redisCommands.inc();
  let reconnect: Reconnect | undefined;
  const redis = openOwnershipConnection(start.redisUrl, {
    leaseMs,
    onCommand,
    onUp: () => {
      metrics.redisUp.set(1);
      reconnect?.back();
    },
    onDown: () => {
      metrics.redisUp.set(0);
      reconnect?.lost();
    },
    onError: (error) => log.debug({ error: error.message }, 'redis connection'),
  });
  const subscriber = openSubscriberConnection(start.redisUrl, { onCommand });
  const waitReplicas = { count: config.redis.waitReplicas, timeoutMs: waitTimeoutMs(leaseMs) };
  const directory = new RedisDirectory({ connection: redis, prefix: config.redis.prefix, idleTimeoutMs, clock, waitReplicas });

  // --- sessions
  const table = new SessionTable();
  const servers = makeServers(config);
  const onGroup = (group: { pid: number; startTime: string }, alive: boolean) => {
    if (alive) own.groups.set(group.pid, group);
    else own.groups.delete(group.pid);
    channel.reportGroup(group, alive);
  };
  const backends = makeBackends({
    config,
    keyring,
    clock,
    log,
    version: VERSION,
    gatewayEnvironment: readEnvironment(),
    onGroup,
  });
  const keepAlive = new KeepAlive(clock);
  const teardown = makeTeardown({ redisUrl: start.redisUrl, config, keyring, clock, backends, metrics, log, onCommand });
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
  const sessionBackends: SessionBackends = new SessionBackends({
    directory,
    clock,
    backends,
    onNotification: (session, backend, json) => noteNotification(session, backend, json, catalogs),
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
    onChange: ({ backend, kind, scope }) => listChanges.tell(backend, kind, scope === '' ? undefined : scope),
  });
  const broadcast = new Broadcast(redis, subscriber, `${config.redis.prefix}catalogs`, (text) => {
    const [backend, kind] = text.split(' ') as [string, CatalogKind];
    cache.invalidate(backend, kind);
    listChanges.tell(backend, kind);
  });
  const catalogs: SessionCatalogs = new SessionCatalogs({
    clock,
    cache,
    exposer: new Exposer({ warn: (server, message) => warn(message, { server }) }),
    sessionBackends,
    ownRequests,
    isPersonal: (name) => {
      const backend = config.mcpServers[name];
      return backend?.type === 'http' && backend.forwardHeaders.length > 0;
    },
    warn,
    announce: (backend, kind, sessionRef) => {
      listChanges.tell(backend, kind, sessionRef);
      if (sessionRef === undefined) broadcast.publish(`${backend} ${kind}`);
    },
  });

  // --- the lease; its address facts come from the internal listener, which hands requests to the execution path
  let handle: ExchangeHandler = () => undefined;
  const internal = { start, config, keyring, handler: (exchange: Exchange) => handle(exchange), metrics, log };
  const listener = await KeptListener.open({
    listen: (turn) => listenForWorkers(internal, turn),
    publish: (addresses) => keeper.moveTo(addresses),
  });
  const keeper: LeaseKeeper = new LeaseKeeper({
    directory,
    clock,
    leaseMs,
    name: `${start.pod}-${start.index}`,
    facts: {
      index: start.index,
      pid: process.pid,
      pod: start.pod,
      host: start.host,
      ...listener.addresses,
      startedMs: clock.wallMs(),
    },
    acknowledge: (id) => channel.acknowledge(id),
    events: {
      lapsed: () => {
        log.warn('the lease ran out: nothing is served from memory until it is ours again');
        reclaim.suspend();
      },
      recovered: () => reclaim.resume(),
      replaced: (cause, guardEndMs) => void reclaim.run(cause, guardEndMs),
      warn,
    },
  });
  const reclaim = new Reclaim({
    directory,
    clock,
    keeper,
    table,
    ender,
    regain: new Regain({ directory, clock, keeper, idleTimeoutMs, isCapped: (principal) => principal !== ANONYMOUS.digest }),
    leaseMs,
    onReclaimed: (counts) => log.warn(counts, 'sessions were claimed back'),
  });
  const reconnection = new Reconnect({
    directory,
    clock,
    keeper,
    reclaim,
    leaseMs,
    onReturn: (facts) => log.warn(facts, 'the connection to Redis was opened anew: verifying what this worker owns'),
  });
  const takeOver = new TakeOver({
    directory,
    clock,
    keeper,
    table,
    sessionBackends,
    findServer: (id) => servers.find(id),
    onTakenOver: (session, from) => {
      metrics.takeovers.inc();
      log.info({ session: session.facts.ref, from: from.owner, epoch: session.token.epoch }, 'took over a session');
    },
  });
  const forwarder = new Peers({
    limits: hopLimits(config),
    ownPod: start.pod,
    keyring,
    clock,
    connectTimeoutMs: Math.min(leaseMs / 3, config.limits.connectTimeout),
  });
  const endHere = new EndHere({ directory, clock, keeper, table, ender, takeOver, idleTimeoutMs });
  const teller = new OwnerTeller({
    ...{ directory, clock, keeper, table, ender, endHere, warn },
    ask: (to, ref, cause, withinMs) => askToEnd({ forwarder, clock }, to, ref, cause, withinMs),
  });
  const sweep = new Sweep({ directory, clock, keeper, ender, teller, idleTimeoutMs, warn });
  const liveness = new Liveness({ directory, clock, table, idleTimeoutMs, expire: (session) => ender.end(session, 'idle') });
  const releaser = new SessionReleaser({
    directory,
    table,
    idleTimeoutMs,
    onReleased: (session) => catalogs.forget(session),
    onLost: (session, backends) => ender.abandon(session, backends),
  });
  const idleRelease = new IdleRelease({
    directory,
    clock,
    keeper,
    table,
    releaser,
    releaseAfterMs: config.sessions.releaseAfter,
    onReleased: (released) => log.debug({ released, left: table.size }, 'idle sessions were given up'),
  });
  const opener = new SessionOpener({
    directory,
    clock,
    keeper,
    table,
    idleTimeoutMs,
    maxSessions: config.sessions.max,
    maxFor: (principal) => (principal.name === ANONYMOUS.name ? undefined : config.sessions.maxPerPrincipal),
    makeRoom: () => sweep.makeRoom(),
  });

  // --- the one execution path
  const requests = new RequestServer({
    clock,
    keepAlive,
    sessionBackends,
    catalogs,
    ownRequests,
    onBackendError: (backend, error) => metrics.backendErrors.inc(backend, String(error.details?.reason ?? error.code)),
  });
  const sessionServer = new SessionServer({ clock, ender, keepAlive, requests });
  const initializer = new InitializeServer({
    opener,
    findServer: (id) => servers.find(id),
    infoOf: (name) => backends.get(name)?.lastInfo,
    version: VERSION,
    onStarted: () => metrics.sessionStarts.inc(),
  });
  let openExchanges = 0;
  const requestLog = makeRequestLog(log, metrics, clock);
  const execution = new Execution({
    table,
    owners: new OwnerCache(),
    directory: new SharedReads(directory),
    keeper,
    clock,
    hold: new HoldRoom(clock, makeProbe({ directory, keeper, leaseMs })),
    forwarder,
    holdMs: config.limits.hold,
    serve: (session, exchange) => sessionServer.serve(session, exchange),
    open: (exchange) => initializer.serve(exchange),
    takeOver: (id, from, record) => takeOver.takeOver(id, from, record),
    end: (exchange, ref, cause) => serveEnd(endHere, exchange, ref, cause),
    teller,
    metrics: {
      held: (outcome) => metrics.held.inc(outcome),
      forwarded: (durationMs) => metrics.forwardDuration.observe(durationMs / 1000),
    },
    log: requestLog,
    warn,
  });
  const execute = async (exchange: Exchange) => {
    // A stream of another worker's edge goes on elsewhere when its session is released: a drain does not wait for its end.
    const counts = exchange.method === 'GET' ? 0 : 1;
    openExchanges += counts;
    try {
      await execution.execute(exchange);
    } finally {
      openExchanges -= counts;
    }
  };
  handle = (exchange) => void execute(exchange);

  metrics.sessions.measure(() => table.size);
  metrics.streams.measure(() => [...table].filter((session) => session.standalone).length);
  metrics.backendSessions.measure(() => [...table].reduce((sum, session) => sum + session.backends.size, 0));
  metrics.leaseRemaining.measure(() => keeper.remainingMs() / 1000);

  // --- begin, in order: the data, lease, background work, public listener, ready
  const connectingMs = clock.monotonicMs();
  await whenUp(redis, config.redis.startTimeout);
  // Remembers which data this is: until then a missing record says nothing.
  const untilAvailable = async (step: () => Promise<unknown>) => {
    while (
      !(await step().then(
        () => true,
        () => false,
      ))
    )
      await pause(clock, leaseMs / 12);
  };
  await untilAvailable(() => directory.checkGeneration(leaseMs));
  await untilAvailable(() => reconnection.start(config.redis.url !== ''));
  reconnect = reconnection;
  await keeper.start(clock.monotonicMs() - connectingMs > leaseMs / 3);
  liveness.start();
  idleRelease.start();
  sweep.start();
  teardown.start();
  const probe = new SelfProbe({
    leaseMs,
    keyring,
    clock,
    limits: { ...DEFAULT_HOP_LIMITS, ...hopLimits(config) },
    addresses: () => listener.addresses,
    listenAnew: () => listener.renew(),
    onBroken: async (reason) => {
      log.error({ reason }, 'the internal listener cannot be reached: the worker ends');
      // Rule 6: children end before anybody can take over what they work on.
      endGuarded(own.groups.values());
      await Promise.race([keeper.stop(), pause(clock, STEP_BUDGET_MS)]);
      log.flush();
      exit(EXIT.forced);
    },
    warn,
  });
  probe.start();
  const readiness = new Readiness(keeper, clock, leaseMs);
  const hostGuard = makeHostGuard(config, config.listen);
  const endpoint = new McpEndpoint({
    hostGuard,
    hasServer: (id) => servers.find(id) !== undefined,
    authenticate: () => ANONYMOUS,
    forwardHeaders: new Set(
      Object.values(config.mcpServers).flatMap((backend) => (backend.type === 'http' ? backend.forwardHeaders : [])),
    ),
    limits: { bodyBytes: config.limits.body, requestTimeoutMs: config.limits.requestTimeout },
    clock,
    execute,
    isDraining: () => keeper.isDraining,
    onRefused: (error) => metrics.refused.inc(String(error.status), error.code),
  });
  const publicServer = makePublicServer({
    endpoint,
    hostGuard,
    endpointPaths: () => servers.servers.map(({ id }) => (id === '' ? '/mcp' : `/servers/${id}/mcp`)),
    isReady: () => readiness.read(),
    keepAliveTimeoutMs: config.limits.keepAliveTimeout,
  });
  await listenPublicly(publicServer, config.listen);
  channel.reportReady(true, []);
  const readyTicker = clock.every(leaseMs / 6, () => {
    const { ready, reasons } = readiness.read();
    channel.reportReady(ready, reasons);
  });
  log.info({ id: keeper.id, pid: process.pid }, 'worker ready');

  let mayCome = () => true;
  const drain = new Drain({
    directory,
    clock,
    keeper,
    table,
    ender,
    releaser,
    holdMs: config.limits.hold,
    openExchanges: () => openExchanges + (mayCome() ? 1 : 0),
    endsWithState: (session) =>
      [...session.backends.values()].some(
        (backend) => backend.isBoundToWorker && config.mcpServers[backend.backend]?.onStateLoss === 'fail',
      ),
    onReleased: (count) => log.info({ released: count, left: table.size }, 'drained'),
  });

  return {
    metrics,
    leave: () => keeper.stop(),
    async drain() {
      await keeper.setDraining();
      channel.reportReady(false, ['draining']);
      readyTicker.cancel();
      await pause(clock, config.drain.delay);
      mayCome = closePublicly(publicServer, clock, config.drain.delay);
      endpoint.endStreams();
      // Its own steps may wait for a Redis that is away.
      await Promise.race([drain.run(config.drain.timeout), pause(clock, config.drain.timeout + STEP_BUDGET_MS)]);
      liveness.stop();
      idleRelease.stop();
      sweep.stop();
      teller.stop();
      await ender.settle(STEP_BUDGET_MS);
      await teardown.close(STEP_BUDGET_MS);
      probe.stop();
      await Promise.all([listener.close(STEP_BUDGET_MS), forwarder.close(STEP_BUDGET_MS)]);
      await keeper.stop();
      for (const backend of backends.values()) await backend.close();
      await pause(clock, DISCONNECT_GRACE_MS);
      publicServer.closeAllConnections();
      redis.disconnect();
      subscriber.disconnect();
      log.flush();
    },
  };
}
