// The composition root of a worker: makes its parts, begins them in the order in which they may, and stops them in reverse. Each
// stage that a stop waits for has a budget of its own.
import type { AdminDesk } from '../admin/admin-desk.js';
import type { GatewayError } from '../errors/gateway-error.js';
import { EXIT } from '../errors/start-error.js';
import { DEFAULT_HOP_LIMITS } from '../forward/limits.js';
import { pause } from '../lifecycle/clock.js';
import type { Metrics } from '../observability/metrics.js';
import type { SessionRef } from '../protocol/ids.js';
import { whenUp } from '../redis/ready.js';
import type { Reconnect } from '../sessions/reconnect.js';
import type { Exchange } from '../streams/exchange.js';
import { endGuarded } from './end-guarded.js';
import { LastWord } from './last-word.js';
import { makeAdmin } from './make-admin.js';
import { makeGroupFiles } from './group-files.js';
import { makeAuthentication } from './make-authentication.js';
import { makeExecution } from './make-execution.js';
import { makeOwnership } from './make-ownership.js';
import { makePublic } from './make-public.js';
import { makeSessions } from './make-sessions.js';
import { makeStorage } from './make-storage.js';
import type { StdioGroup } from './messages.js';
import { RefusalLog } from './refusal-log.js';
import { SelfProbe } from './self-probe.js';
import { makeWorkerBase } from './worker-base.js';
import type { StartMessage, WorkerChannel } from './worker-channel.js';
import { WorkerReload } from './worker-reload.js';
import { hopLimits, listenPublicly } from './worker-listeners.js';

/** Given to connections that the primary had accepted for us when we left: an exit at once leaves a few of them hanging. */
const DISCONNECT_GRACE_MS = 500;
const STEP_BUDGET_MS = 2000;

/** What a running worker can be asked. */
export interface Running {
  readonly metrics: Metrics;
  readonly reload: WorkerReload;
  readonly admin: AdminDesk;
  drain(): Promise<void>;
  /** Acts on nothing any more and gives up the lease. */
  leave(): Promise<void>;
}

/**
 * @param groups of its stdio children, by pid: kept up to date for whoever ends this process
 * @throws StartError, or what else keeps it from serving
 */
export async function startWorker(
  start: StartMessage,
  channel: WorkerChannel,
  groups: Map<number, StdioGroup>,
  exit: (code: number) => never,
): Promise<Running> {
  const base = makeWorkerBase(start, channel);
  const { config, live, clock, log, metrics, keyring, warn } = base;
  const leaseMs = config.internal.lease;

  let reconnect: Reconnect | undefined;
  const storage = makeStorage(base, { lost: () => reconnect?.lost(), back: () => reconnect?.back() });
  const { redis, directory } = storage;
  const groupFiles = makeGroupFiles(start.socketDir, process.pid, (code) =>
    log.warn({ code }, 'processes of backends cannot be written down: if pod and workers are killed at once, they may survive'),
  );
  const sessions = makeSessions(base, storage, (group, alive) => {
    if (alive) groups.set(group.pid, group);
    else groups.delete(group.pid);
    groupFiles.note(group, alive);
    channel.reportGroup(group, alive);
  });
  const { teardown, ender, backends, health } = sessions;
  // Listens before there is anything to serve: its address stands in the lease, without which nobody sends anything here.
  let handle: (exchange: Exchange) => void = () => undefined;
  let endedInPlace: (ref: SessionRef) => void = () => undefined;
  const ownership = await makeOwnership(base, storage, sessions, {
    request: (exchange) => handle(exchange),
    endedInPlace: (ref) => endedInPlace(ref),
  });
  const { keeper, listener, reconnection, forwarder } = ownership;
  const refusals = new RefusalLog(clock, log, metrics);
  const onRefused = (error: GatewayError) => refusals.note(error);
  const execution = makeExecution(base, storage, sessions, ownership, onRefused);
  const { execute, openExchanges } = execution;
  handle = (exchange) => void execute(exchange);
  endedInPlace = execution.endedInPlace;

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
  ownership.begin();
  teardown.start();
  health.start(() => keeper.isValid());
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
      endGuarded(groups.values());
      await Promise.race([keeper.stop(), pause(clock, STEP_BUDGET_MS)]);
      log.flush();
      exit(EXIT.forced);
    },
    warn,
  });
  probe.start();
  const authentication = await makeAuthentication(base);
  const { server, endpoint, readiness } = makePublic(base, keeper, execute, authentication, onRefused);
  await listenPublicly(server, { config, publicPort: start.publicPort });
  channel.reportReady(true, []);
  const readyTicker = clock.every(leaseMs / 6, () => {
    const { ready, reasons } = readiness.read();
    channel.reportReady(ready, reasons);
  });
  log.info({ id: keeper.id, pid: process.pid }, 'worker ready');

  let lastWord: LastWord | undefined;
  const drain = ownership.makeDrain(() => openExchanges() + (lastWord?.mayCome() ? 1 : 0));
  const reload = new WorkerReload(base, sessions, server);
  return {
    metrics,
    reload,
    admin: makeAdmin(base, storage, sessions, ownership),
    leave: () => keeper.stop(),
    async drain() {
      const draining = keeper.setDraining();
      lastWord = new LastWord(server, clock, endpoint.begunAnswers());
      await draining;
      channel.reportReady(false, ['draining']);
      readyTicker.cancel();
      const { delay, timeout } = live.config.drain;
      await pause(clock, delay);
      lastWord.stopAccepting();
      endpoint.endStreams();
      // Its own steps may wait for a Redis that is away.
      await Promise.race([drain.run(timeout), pause(clock, timeout + STEP_BUDGET_MS)]);
      ownership.stop();
      authentication.stop();
      await ender.settle(STEP_BUDGET_MS);
      health.close();
      await teardown.close(STEP_BUDGET_MS);
      probe.stop();
      execution.stopWatching();
      await Promise.all([listener.close(STEP_BUDGET_MS), forwarder.close(STEP_BUDGET_MS)]);
      await keeper.stop();
      reload.stop();
      await Promise.all([backends.close(), sessions.former.close()]);
      await pause(clock, DISCONNECT_GRACE_MS);
      server.closeAllConnections();
      storage.disconnect();
      log.flush();
    },
  };
}
