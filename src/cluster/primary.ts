// The primary: prepares what workers need, keeps them alive, speaks for the pod on the admin listener, and ends everything in the
// reverse order. It serves no session and is on no request's path.
import cluster from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { addressOf, formatAddress } from '../config/address.js';
import { listEndpointUrls } from '../config/endpoints.js';
import { readEnvironment } from '../config/environment.js';
import type { LoadedConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { loadOrCreateSecret } from '../config/secret.js';
import { resolveWorkers } from '../config/workers.js';
import type { RedisDirectory } from '../directory/redis-directory.js';
import { EXIT, StartError } from '../errors/start-error.js';
import { systemClock } from '../lifecycle/clock.js';
import { inheritedEnvironment } from '../lifecycle/inherited-environment.js';
import { type Logger, makeLogger } from '../observability/log.js';
import { waitForRedis } from '../redis/ready.js';
import { WorkerAsker } from './ask-worker.js';
import { checkHosts } from './check-hosts.js';
import { MetricsCollector } from './collect-metrics.js';
import { ConnectionRescue } from './connection-rescue.js';
import { takeDataDir } from './data-dir-guard.js';
import { EmbeddedRedis } from './embedded-redis.js';
import { endRecordedGroups } from './group-files.js';
import { readHostId } from './host-id.js';
import type { ToWorker } from './messages.js';
import { readPodStatus } from './pod-status.js';
import { PrimaryConfig } from './primary-config.js';
import { openPrimaryDirectory } from './primary-directory.js';
import { probeListen } from './probe-listen.js';
import { serveAdmin } from './serve-admin.js';
import { Stages } from './stages.js';
import { makeSocketDir, sweepSocketDirs } from './socket-dir.js';
import { StopRequests } from './stop-requests.js';
import { WorkerSupervisor } from './worker-supervisor.js';

export interface PrimaryOptions {
  /** The effective configuration; `dataDir` is absolute. */
  readonly config: Config;
  /** Where it came from, for the log. */
  readonly file: string | undefined;
  readonly warnings: readonly string[];
  /** Values of it that are shown nowhere. Default none. */
  readonly secrets?: readonly string[];
  /** Reads it again, as it was read for this start. Default: a reload is refused. */
  readonly reload?: () => LoadedConfig;
  /** Hears that all workers serve, at the start. */
  readonly onReady?: (ports: { readonly port: number; readonly adminPort: number }) => void;
  /** Script of the worker processes; default: the one that runs now. */
  readonly exec?: string;
}

/** After `drain.delay` and `drain.timeout`, for what comes after the calls: release, teardown, the last 500 ms. */
const DRAIN_RESERVE_MS = 5000;

/**
 * Runs the gateway to its end.
 * @returns the exit code: 0 after a drain, 1 after a second signal
 * @throws StartError if it cannot start or a worker cannot run; everything that was started has ended by then
 */
export async function startPrimary(options: PrimaryOptions): Promise<number> {
  const { level, format } = options.config.log;
  const isTty = process.stdout.isTTY === true;
  const log = makeLogger({ level, format, isTty });
  for (const warning of options.warnings) log.warn(warning);
  let primary: Primary | undefined;
  const stop = new StopRequests(process, isTty, () => primary?.reload());
  // Timers of ours are unreferenced; something has to keep the process until it decides to end.
  const alive = setInterval(() => undefined, 2 ** 30);
  try {
    primary = new Primary(options, log, stop);
    return await primary.run();
  } finally {
    clearInterval(alive);
    stop.dispose();
    log.flush();
  }
}

/** A signal came while the start was still under way, or afterwards: in either case it is time to stop. */
class Interrupted extends Error {}

class Primary {
  readonly #config: Config;
  readonly #options: PrimaryOptions;
  readonly #log: Logger;
  readonly #stop: StopRequests;
  readonly #clock = systemClock;
  readonly #stages: Stages;
  readonly #host = readHostId();
  readonly #rescue = new ConnectionRescue();
  readonly #pod = randomBytes(6).toString('hex');
  #supervisor: WorkerSupervisor | undefined;
  /** As reloads leave it; `#config` is that of the start. */
  readonly #live: PrimaryConfig;
  #isStopping = false;
  /** In use, where the configuration says 0. */
  #port = 0;
  #adminPort = 0;

  constructor(options: PrimaryOptions, log: Logger, stop: StopRequests) {
    this.#config = options.config;
    this.#options = options;
    this.#log = log;
    this.#stop = stop;
    this.#live = new PrimaryConfig({
      config: options.config,
      secrets: options.secrets ?? [],
      file: options.file,
      load: options.reload,
      clock: this.#clock,
      log,
      workers: () => this.#supervisor?.lives ?? [],
    });
    this.#stages = new Stages(log);
    void stop.first.then((signal) => this.#stages.interrupt(new Interrupted(signal)));
  }

  async run(): Promise<number> {
    let failure: unknown;
    try {
      await this.#start();
      await this.#stages.interrupted;
    } catch (error) {
      if (error instanceof Interrupted) this.#log.info({ signal: error.message }, 'stopping');
      else failure = error;
    }
    this.#isStopping = true;
    await this.#stages.end();
    if (failure !== undefined) throw failure;
    this.#log.info(this.#stop.isForced ? 'stopped by force' : 'stopped');
    return this.#stop.isForced ? EXIT.forced : EXIT.ok;
  }

  async #start(): Promise<void> {
    const config = this.#config;
    const { startTimeout } = config.redis;
    const publicPort = await this.#findPublicPort();
    if (addressOf(config.admin.listen).port !== 0) await probeListen('admin.listen', addressOf(config.admin.listen));

    const socketDir = makeSocketDir();
    this.#stages.add('sockets', socketDir.remove);
    const redis = config.redis.url === '' ? await this.#startRedis(socketDir.path) : undefined;
    const swept = sweepSocketDirs();
    if (swept > 0) this.#log.warn({ groups: swept }, 'processes of backends had outlived a killed gateway: ended');
    const redisUrl = redis?.url ?? config.redis.url;
    if (!redis) await this.#stages.unlessInterrupted(waitForRedis(redisUrl, startTimeout));
    const directory = await openPrimaryDirectory({
      config,
      url: redisUrl,
      stages: this.#stages,
      log: this.#log,
      isStopping: () => this.#isStopping,
    });
    await this.#stages.unlessInterrupted(this.#checkHosts(directory));

    const secret = config.internal.secret || loadOrCreateSecret(config.dataDir);
    const secrets = [secret, config.internal.oldSecret].filter((text) => text !== '');
    const workers = resolveWorkers(config);
    const { supervisor, collector, asker } = this.#superviseWorkers(workers, directory, socketDir.path, (index) => ({
      kind: 'start',
      config: this.#live.current,
      index,
      workers,
      pod: this.#pod,
      host: this.#host,
      publicPort,
      redisUrl,
      secrets,
      socketDir: socketDir.path,
      guardedProcesses: redis?.group ? [redis.group] : [],
    }));
    await this.#serveAdmin(supervisor, collector, asker);
    this.#stages.add('workers', () => this.#endWorkers(supervisor));
    this.#supervisor = supervisor;
    supervisor.start();
    this.#stages.add('watch of the configuration', await this.#live.watch());
  }

  /** @returns the port for the workers: 0 where they share a listener whose port the system chooses */
  async #findPublicPort(): Promise<number> {
    const { listen, scheduling } = this.#config;
    const address = addressOf(listen);
    // Workers that listen by themselves say nothing of it here, and for 0 each would get a port of its own.
    if (scheduling === 'reuse-port') this.#port = await probeListen('listen', address);
    else if (address.port !== 0) await probeListen('listen', address);
    return this.#port || address.port;
  }

  /** SIGHUP. */
  reload(): void {
    // Before there are workers, what they start with was read a moment ago, and may have changed since.
    if (!this.#isStopping) void this.#live.reload.request('SIGHUP');
  }

  async #startRedis(socketDir: string): Promise<EmbeddedRedis> {
    const { dataDir, redis } = this.#config;
    const guard = await this.#stages.unlessInterrupted(takeDataDir(dataDir));
    this.#stages.add('data directory', guard.release);
    const embedded = new EmbeddedRedis({
      dataDir,
      socketDir,
      env: inheritedEnvironment(readEnvironment()),
      guard,
      clock: this.#clock,
      log: this.#log,
      startTimeoutMs: redis.startTimeout,
      onRestarted: (group) => this.#supervisor?.send({ kind: 'guarded', guardedProcesses: [group] }),
    });
    this.#stages.add('redis', () => embedded.stop(this.#stop.isForced));
    await this.#stages.unlessInterrupted(embedded.start());
    return embedded;
  }

  #superviseWorkers(count: number, directory: RedisDirectory, socketDir: string, startMessage: (index: number) => ToWorker) {
    // The configuration alone decides, not NODE_CLUSTER_SCHED_POLICY. Workers that listen by themselves ask for nothing here.
    cluster.schedulingPolicy = this.#config.scheduling === 'os' ? cluster.SCHED_NONE : cluster.SCHED_RR;
    cluster.setupPrimary({ exec: this.#options.exec ?? (process.argv[1] as string), args: [], silent: false });
    const supervisor: WorkerSupervisor = new WorkerSupervisor({
      count,
      clock: this.#clock,
      log: this.#log,
      fork: () => {
        const worker = cluster.fork();
        this.#rescue.watch(worker);
        worker.on('listening', ({ port }) => {
          this.#port = port;
        });
        return worker;
      },
      startMessage,
      endGroups: (workerPid) => void endRecordedGroups(socketDir, workerPid),
      removeLease: (id) => directory.removeLease(id),
      onCollected: (life, metrics) => collector.take(life, metrics),
      onReload: (life, answer) => this.#live.reload.take(life, answer),
      onAdmined: (life, request, answer) => asker.take(life, request, answer),
      onExit: (life) => {
        this.#live.reload.exited(life);
        asker.forget(life);
        collector.forget(life).catch((error) => this.#log.warn({ error: String(error) }, 'metrics of a dead worker are lost'));
      },
      onFailed: ({ exitCode, message }) => this.#stages.interrupt(new StartError(knownExitCode(exitCode), message)),
      onAllReady: () => {
        this.#tellReady(count);
        // Two hosts that started at the same moment saw nothing of each other before.
        this.#checkHosts(directory).catch((error) => this.#onHostCheck(error));
      },
    });
    const collector = new MetricsCollector({
      sources: () => supervisor.lives,
      configured: count,
      clock: this.#clock,
      own: () => this.#live.metrics.snapshot(),
    });
    const asker = new WorkerAsker({
      workers: () => supervisor.lives,
      reasons: () => readPodStatus(supervisor, this.#isStopping).reasons,
      clock: this.#clock,
    });
    return { supervisor, collector, asker };
  }

  /** An embedded Redis is nobody else's. */
  async #checkHosts(directory: RedisDirectory): Promise<void> {
    const { redis, internal } = this.#config;
    if (redis.url !== '') await checkHosts(directory, this.#host, internal.host);
  }

  #onHostCheck(error: unknown): void {
    if (error instanceof StartError) this.#stages.interrupt(error);
    else this.#log.warn({ error: String(error) }, 'whether other hosts use this redis could not be checked');
  }

  async #serveAdmin(supervisor: WorkerSupervisor, collector: MetricsCollector, asker: WorkerAsker): Promise<void> {
    const status = () => readPodStatus(supervisor, this.#isStopping);
    const { listen } = this.#config.admin;
    const server = await serveAdmin({ listen, live: this.#live, collector, asker, status, log: this.#log });
    this.#stages.add('admin', () => server.close());
    this.#adminPort = server.port;
  }

  #tellReady(workers: number): void {
    const urls = listEndpointUrls(this.#config, this.#port);
    const admin = `http://${formatAddress({ ...addressOf(this.#config.admin.listen), port: this.#adminPort })}`;
    this.#log.info({ urls, admin, workers, file: this.#options.file, pid: process.pid }, 'ready');
    this.#options.onReady?.({ port: this.#port, adminPort: this.#adminPort });
  }

  async #endWorkers(supervisor: WorkerSupervisor): Promise<void> {
    const { delay, timeout } = this.#live.current.drain;
    void this.#stop.second.then(() => supervisor.kill());
    await supervisor.stop(delay + timeout + DRAIN_RESERVE_MS);
    this.#rescue.close();
  }
}

/** A worker says with what the process should end; what is none of our codes would mean something else to whoever reads it. */
function knownExitCode(code: number): (typeof EXIT)[keyof typeof EXIT] {
  return Object.values(EXIT).find((known) => known === code) ?? EXIT.forced;
}
