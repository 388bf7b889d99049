// The Redis of a gateway that was given none: a real redis-server, child of the primary, with an append-only file in dataDir.
// It is started again when it dies; sessions live on, because the same data comes back at the same socket.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, StartError } from '../errors/start-error.js';
import { type Clock, pause } from '../lifecycle/clock.js';
import { killGroup } from '../lifecycle/process-group.js';
import type { Logger } from '../observability/log.js';
import { Backoff } from './backoff.js';
import type { DataDirGuard, GuardedRedis } from './data-dir-guard.js';
import type { StdioGroup } from './messages.js';
import { isProcessAlive } from './process-identity.js';
import { type RedisProcess, spawnRedis } from './redis-process.js';
import { pingSocket, shutDownSocket } from './redis-socket.js';
import { MAX_SOCKET_PATH_BYTES } from './socket-dir.js';

const POLL_MS = 20;
const PING_MS = 1000;
/** To write the append-only file to disk and end. */
const STOP_MS = 10_000;
const FORCED_STOP_MS = 2000;

export interface EmbeddedRedisOptions {
  readonly dataDir: string;
  /** For the socket, where its path in dataDir would be too long. */
  readonly socketDir: string;
  /** For the process: PATH and the like, no secrets. */
  readonly env: Readonly<Record<string, string>>;
  readonly guard: DataDirGuard;
  readonly clock: Clock;
  readonly log: Logger;
  /** `redis.startTimeout`, ms. Reading the data may take longer. */
  readonly startTimeoutMs: number;
  /** A new process serves after the old one died. */
  readonly onRestarted: (group: StdioGroup) => void;
}

export class EmbeddedRedis {
  readonly #options: EmbeddedRedisOptions;
  readonly #socket: string;
  readonly #backoff: Backoff;
  #process: RedisProcess | undefined;
  /** A start that is under way; a stop waits for it, or its process would be left behind. */
  #starting: Promise<void> = Promise.resolve();
  #stopping = false;

  constructor(options: EmbeddedRedisOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.clock);
    const preferred = join(options.dataDir, 'redis.sock');
    const fits = Buffer.byteLength(preferred) <= MAX_SOCKET_PATH_BYTES;
    this.#socket = fits ? preferred : join(options.socketDir, 'redis.sock');
  }

  get url(): string {
    return `unix://${this.#socket.split('/').map(encodeURIComponent).join('/')}`;
  }

  /** The process, for those who have to end it should the primary be killed. */
  get group(): StdioGroup | undefined {
    return this.#process?.group;
  }

  /**
   * Ends a Redis that outlived its primary, then starts ours and waits until it serves.
   * @throws StartError 69, with what Redis printed
   */
  start(): Promise<void> {
    this.#starting = this.#endSurvivor(this.#options.guard.previousRedis).then(() => this.#launch());
    return this.#starting;
  }

  /** Ends it so that everything is on disk, or without much patience. */
  async stop(isForced: boolean): Promise<void> {
    this.#stopping = true;
    const limit = pause(this.#options.clock, isForced ? FORCED_STOP_MS : STOP_MS).then(() => false);
    if (await Promise.race([this.#terminate().then(() => true), limit])) return;
    this.#options.log.error('the embedded redis does not end: killed');
    this.#process?.kill('SIGKILL');
    await this.#process?.exited;
  }

  async #terminate(): Promise<void> {
    if (this.#process) this.#process.isServing = false;
    this.#process?.kill('SIGTERM');
    await this.#starting.catch(() => undefined);
    await this.#process?.exited;
  }

  async #launch(): Promise<void> {
    const { dataDir, env, guard, log } = this.#options;
    if (this.#stopping) throw new Error('stopping');
    // Recorded before it exists: whoever finds this guard with its owner dead looks at the socket.
    guard.record({ socket: this.#socket });
    const started = await spawnRedis({ dataDir, socket: this.#socket, env, log });
    this.#process = started;
    guard.record({ socket: this.#socket, ...started.group });
    if (this.#stopping) started.kill('SIGTERM');
    try {
      await this.#awaitService(started);
    } catch (error) {
      started.kill('SIGKILL');
      await started.exited;
      throw error;
    }
    started.isServing = true;
    this.#backoff.began();
    log.debug({ pid: started.group.pid, socket: this.#socket }, 'embedded redis serves');
    void started.exited.then((how) => this.#onDeath(how));
  }

  async #awaitService(started: RedisProcess): Promise<void> {
    const { clock, startTimeoutMs } = this.#options;
    let deadlineMs = clock.monotonicMs() + startTimeoutMs;
    for (;;) {
      if (started.hasEnded) await started.exited;
      const outcome = started.hasEnded ? 'ended' : await pingSocket(this.#socket, PING_MS);
      if (outcome === 'up') return;
      // Data of any size may be read as long as it is read.
      if (outcome === 'loading') deadlineMs = clock.monotonicMs() + startTimeoutMs;
      if (outcome === 'ended' || clock.monotonicMs() > deadlineMs) {
        throw new StartError(
          EXIT.unavailable,
          `the embedded Redis ${outcome === 'ended' ? 'ended' : 'did not answer in time'}. It printed:\n${started.output}\n` +
            `Its data is in ${this.#options.dataDir}; redis-check-aof repairs a damaged append-only file.`,
        );
      }
      await pause(clock, POLL_MS);
    }
  }

  async #onDeath(how: string): Promise<void> {
    const { clock, log, onRestarted } = this.#options;
    while (!this.#stopping) {
      const delayMs = this.#backoff.nextMs();
      log.error({ how, delayMs, output: this.#process?.output }, 'the embedded redis died: it is started again');
      await pause(clock, delayMs);
      if (this.#stopping) return;
      try {
        this.#starting = this.#launch();
        await this.#starting;
        if (this.#process) onRestarted(this.#process.group);
        log.info('the embedded redis serves again');
        return;
      } catch (error) {
        how = error instanceof Error ? error.message : String(error);
      }
    }
  }

  /** Never two writers on one data directory: what still runs there is asked to end, then made to. */
  async #endSurvivor(previous: GuardedRedis | undefined): Promise<void> {
    const { clock, log, startTimeoutMs } = this.#options;
    const sockets = new Set([...(previous ? [previous.socket] : []), this.#socket]);
    const { pid, startTime } = previous ?? {};
    const group = pid !== undefined && startTime ? { pid, startTime } : undefined;
    const isLeft = async () => {
      if (group && isProcessAlive(group)) return true;
      for (const socket of sockets) if ((await pingSocket(socket, PING_MS)) !== 'absent') return true;
      return false;
    };
    if (!(await isLeft())) return;

    log.warn({ pid }, 'a redis of a dead gateway still runs on the data directory: it is shut down first');
    for (const socket of sockets) await shutDownSocket(socket, PING_MS);
    const deadlineMs = clock.monotonicMs() + startTimeoutMs;
    const killAtMs = clock.monotonicMs() + startTimeoutMs / 2;
    while (!this.#stopping && (await isLeft())) {
      if (clock.monotonicMs() > deadlineMs) {
        throw new StartError(
          EXIT.unavailable,
          `dataDir: a Redis that this gateway did not start still runs on ${this.#options.dataDir} (socket ${this.#socket}).\n  End it, or set dataDir to another directory.`,
        );
      }
      if (group && clock.monotonicMs() > killAtMs) killGroup(group, 'SIGKILL');
      await pause(clock, POLL_MS);
    }
    for (const socket of sockets) rmSync(socket, { force: true });
  }
}
