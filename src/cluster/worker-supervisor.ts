// Keeps the configured number of workers alive: forks them, cleans up after those that die, starts them again with back-off, and
// drains them all at the end.
import type { Worker } from 'node:cluster';
import { type Clock, pause, type Timer } from '../lifecycle/clock.js';
import type { Logger } from '../observability/log.js';
import type { WorkerId } from '../protocol/ids.js';
import { Backoff } from './backoff.js';
import type { ToWorker } from './messages.js';
import { type Failure, type LifeEvents, type ReloadAnswer, WorkerLife } from './worker-life.js';

export interface SupervisorOptions {
  readonly count: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Starts a worker process. */
  readonly fork: () => Worker;
  /** The first message for the worker of that index (1..n). */
  readonly startMessage: (index: number) => ToWorker;
  /** Ends what a dead worker had started and could not report any more. */
  readonly endGroups: (workerPid: number) => void;
  /** Deletes the lease of exactly this incarnation. */
  readonly removeLease: (id: WorkerId) => Promise<void>;
  readonly onCollected: (life: WorkerLife, metrics: unknown) => void;
  readonly onReload: (life: WorkerLife, message: ReloadAnswer) => void;
  readonly onAdmined: LifeEvents['onAdmined'];
  readonly onExit: (life: WorkerLife) => void;
  /** A worker says that it cannot run at all. */
  readonly onFailed: (failure: Failure) => void;
  /** All workers are ready, for the first time. */
  readonly onAllReady: () => void;
}

interface Slot {
  readonly index: number;
  readonly backoff: Backoff;
  life: WorkerLife | undefined;
  restart: Timer | undefined;
}

export class WorkerSupervisor {
  readonly #options: SupervisorOptions;
  readonly #slots: Slot[];
  #isStopping = false;
  #wereAllReady = false;
  #onceEmpty: (() => void) | undefined;
  readonly #removals = new Set<Promise<void>>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.count }, (_, position) => ({
      index: position + 1,
      backoff: new Backoff(options.clock),
      life: undefined,
      restart: undefined,
    }));
  }

  /** Worker processes that run now. */
  get lives(): WorkerLife[] {
    return this.#slots.flatMap(({ life }) => (life ? [life] : []));
  }

  get count(): number {
    return this.#options.count;
  }

  start(): void {
    for (const slot of this.#slots) this.#fork(slot);
  }

  send(message: ToWorker): void {
    for (const life of this.lives) life.send(message);
  }

  /** Drains all workers; whoever is left after `budgetMs` is killed. Resolves when every process and its lease is gone. */
  async stop(budgetMs: number): Promise<void> {
    this.#isStopping = true;
    for (const slot of this.#slots) slot.restart?.cancel();
    this.send({ kind: 'drain' });
    const empty = this.#whenEmpty();
    const late = pause(this.#options.clock, budgetMs).then(() => 'late' as const);
    if ((await Promise.race([empty, late])) === 'late') {
      this.#options.log.warn({ workers: this.lives.map(({ index }) => index) }, 'workers did not drain in time: killed');
      this.kill();
    }
    await empty;
    await Promise.all(this.#removals);
  }

  /** Kills every worker; nothing is started again. */
  kill(): void {
    this.#isStopping = true;
    for (const slot of this.#slots) slot.restart?.cancel();
    for (const life of this.lives) life.kill();
  }

  #whenEmpty(): Promise<void> {
    return new Promise((resolve) => {
      this.#onceEmpty = resolve;
      if (this.lives.length === 0) resolve();
    });
  }

  #fork(slot: Slot): void {
    const { fork, startMessage, log } = this.#options;
    slot.restart = undefined;
    slot.backoff.began();
    try {
      slot.life = new WorkerLife(slot.index, fork(), this.#eventsOf(slot));
    } catch (error) {
      // Out of processes or memory: as good as a worker that died at once.
      log.error({ worker: slot.index, error: String(error) }, 'a worker cannot be started');
      this.#restartLater(slot);
      return;
    }
    slot.life.send(startMessage(slot.index));
    log.debug({ worker: slot.index, pid: slot.life.pid }, 'worker forked');
  }

  #eventsOf(slot: Slot): LifeEvents {
    const { log, onCollected, onReload, onAdmined, onFailed } = this.#options;
    return {
      onReady: ({ index, isReady, reasons }) => {
        log.debug({ worker: index, isReady, reasons }, 'readiness of a worker');
        if (this.#wereAllReady || this.#isStopping) return;
        if (this.lives.length < this.count || this.lives.some((life) => !life.isReady)) return;
        this.#wereAllReady = true;
        this.#options.onAllReady();
      },
      onCollected,
      onReload,
      onAdmined,
      onFailed: (life, failure) => {
        log.error({ worker: life.index, reason: failure.message }, 'a worker cannot run');
        onFailed(failure);
      },
      onExit: (life, code, signal) => this.#afterExit(slot, life, code, signal),
      onLateIncarnation: (id) => this.#removeLease(id),
    };
  }

  #afterExit(slot: Slot, life: WorkerLife, code: number | null, signal: string | null): void {
    const { log, onExit } = this.#options;
    slot.life = undefined;
    // Before its sessions are free: a child must not go on with what a new owner begins anew.
    if (life.pid !== undefined) this.#options.endGroups(life.pid);
    for (const id of life.incarnations) this.#removeLease(id);
    onExit(life);
    if (!this.#isStopping) {
      const delayMs = this.#restartLater(slot);
      log.error({ worker: life.index, pid: life.pid, code, signal, restartMs: delayMs }, 'a worker died: it is started again');
    } else if (code !== 0) {
      log.warn({ worker: life.index, code, signal }, 'a worker ended without having drained');
    }
    if (this.lives.length === 0) this.#onceEmpty?.();
  }

  #restartLater(slot: Slot): number {
    const delayMs = slot.backoff.nextMs();
    slot.restart = this.#options.clock.after(delayMs, () => {
      if (!this.#isStopping) this.#fork(slot);
    });
    return delayMs;
  }

  #removeLease(id: WorkerId): void {
    const removal = this.#options
      .removeLease(id)
      // It runs out by itself; only the take-over of its sessions is later.
      .catch((error) => this.#options.log.debug({ id, error: String(error) }, 'the lease of a dead worker could not be removed'))
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }
}
