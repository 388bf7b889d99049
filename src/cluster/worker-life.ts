// One life of one worker process, as its primary sees it: what it reported, and what has to be cleaned up after it.
import type { Worker } from 'node:cluster';
import type { AdminAnswer } from '../admin/admin-request.js';
import { killGroup } from '../lifecycle/process-group.js';
import type { WorkerId } from '../protocol/ids.js';
import type { FromWorker, StdioGroup, ToWorker } from './messages.js';

/** Of one life: only the last few can have a lease, the others' are gone for good. */
const MAX_INCARNATIONS = 1000;

export type Failure = Extract<FromWorker, { kind: 'failed' }>;

export type ReloadAnswer = Extract<FromWorker, { kind: 'reloaded' | 'applied' }>;

export interface LifeEvents {
  /** Readiness or its reasons have changed. */
  onReady(life: WorkerLife): void;
  onCollected(life: WorkerLife, metrics: unknown): void;
  /** It answers what the admin API asked. */
  onAdmined(life: WorkerLife, request: number, answer: AdminAnswer): void;
  onFailed(life: WorkerLife, failure: Failure): void;
  onReload(life: WorkerLife, message: ReloadAnswer): void;
  /** The process is gone and its groups have been killed. Incarnations are complete unless one is still reported late. */
  onExit(life: WorkerLife, code: number | null, signal: string | null): void;
  /** An incarnation that was read from the channel after the exit. */
  onLateIncarnation(id: WorkerId): void;
}

export class WorkerLife {
  readonly index: number;
  readonly incarnations = new Set<WorkerId>();
  isReady = false;
  reasons: readonly string[] = ['starting'];
  /** It was ready at least once: it has all of the configuration it was started with. */
  hasStarted = false;
  readonly #worker: Worker;
  readonly #events: LifeEvents;
  readonly #groups = new Map<number, StdioGroup>();
  /** What was said before the worker listens: a cluster worker reads its channel before it has a listener, and it would be lost. */
  #unsent: ToWorker[] | undefined = [];
  #hasExited = false;

  constructor(index: number, worker: Worker, events: LifeEvents) {
    this.index = index;
    this.#worker = worker;
    this.#events = events;
    worker.on('message', (message: FromWorker) => this.#take(message));
    // A send that fails tells nothing that `exit` does not.
    worker.on('error', () => undefined);
    // Never `disconnect`: a worker that only lost its channel still runs, and what it owns is still its own.
    worker.once('exit', (code, signal) => this.#exit(code, signal));
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  send(message: ToWorker): void {
    if (this.#hasExited || !this.#worker.isConnected()) return;
    if (this.#unsent) {
      this.#unsent.push(message);
      return;
    }
    this.#worker.send(message, (error: Error | null) => void error);
  }

  /** SIGKILL. Its groups follow when it is gone. */
  kill(): void {
    if (!this.#hasExited) this.#worker.process.kill('SIGKILL');
  }

  #take(message: FromWorker): void {
    switch (message.kind) {
      case 'up': {
        const unsent = this.#unsent ?? [];
        this.#unsent = undefined;
        for (const earlier of unsent) this.send(earlier);
        return;
      }
      case 'incarnation':
        // Recorded first: once acknowledged it may write a lease, and that has to be deleted when it dies.
        this.incarnations.add(message.incarnation);
        if (this.incarnations.size > MAX_INCARNATIONS)
          this.incarnations.delete(this.incarnations.values().next().value as WorkerId);
        if (this.#hasExited) this.#events.onLateIncarnation(message.incarnation);
        else this.send({ kind: 'acknowledged', incarnation: message.incarnation });
        return;
      case 'ready': {
        const reasons = message.reasons.join();
        if (this.#hasExited || (message.ready === this.isReady && reasons === this.reasons.join())) return;
        this.isReady = message.ready;
        this.hasStarted = true;
        this.reasons = message.reasons;
        this.#events.onReady(this);
        return;
      }
      case 'group':
        if (!message.alive) this.#groups.delete(message.group.pid);
        // Race: `exit` may come before the last messages were read from the channel.
        else if (this.#hasExited) killGroup(message.group, 'SIGKILL');
        else this.#groups.set(message.group.pid, message.group);
        return;
      case 'collected':
        if (!this.#hasExited) this.#events.onCollected(this, message.metrics);
        return;
      case 'admined':
        if (!this.#hasExited) this.#events.onAdmined(this, message.request, message.answer);
        return;
      case 'reloaded':
      case 'applied':
        this.#events.onReload(this, message);
        return;
      case 'failed':
        this.#events.onFailed(this, message);
        return;
    }
  }

  #exit(code: number | null, signal: string | null): void {
    this.#hasExited = true;
    this.isReady = false;
    // Before anybody can take its sessions over: a stdio child must not go on with what a new owner begins anew.
    for (const group of this.#groups.values()) killGroup(group, 'SIGKILL');
    this.#groups.clear();
    this.#events.onExit(this, code, signal);
  }
}
