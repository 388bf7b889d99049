// The worker's end of the channel to its primary. Only one thing may be lost with it: the worker itself.
import cluster from 'node:cluster';
import type { AdminAnswer, AdminRequest } from '../admin/admin-request.js';
import type { Config } from '../config/schema.js';
import { GatewayError } from '../errors/gateway-error.js';
import type { WorkerId } from '../protocol/ids.js';
import type { FromWorker, StdioGroup, ToWorker } from './messages.js';

export type StartMessage = Extract<ToWorker, { kind: 'start' }>;

export interface ChannelEvents {
  start(message: StartMessage): void;
  /** See `ToWorker`. */
  reload(revision: number, config: Config): void;
  apply(revision: number): void;
  drain(): void;
  /** The primary started another process that must not outlive it. */
  guarded(processes: readonly StdioGroup[]): void;
  /** Metrics are asked for; the answer goes back as it is. */
  collect(): unknown;
  /** The admin API asks. Never rejects; undefined: not able to answer yet, and the primary asks another worker. */
  admin(request: AdminRequest): Promise<AdminAnswer | undefined>;
  /** The primary is gone (also by SIGKILL): it counts as the pod's death. */
  orphaned(): void;
}

export class WorkerChannel {
  readonly #process: NodeJS.Process;
  readonly #acknowledgements = new Map<WorkerId, () => void>();

  constructor(worker: NodeJS.Process, events: ChannelEvents) {
    this.#process = worker;
    worker.on('message', (message: ToWorker) => {
      switch (message.kind) {
        case 'start':
          return events.start(message);
        case 'reload':
          return events.reload(message.revision, message.config as Config);
        case 'apply':
          return events.apply(message.revision);
        case 'drain':
          return events.drain();
        case 'guarded':
          return events.guarded(message.guardedProcesses);
        case 'collect':
          return this.#send({ kind: 'collected', request: message.request, metrics: events.collect() });
        case 'admin': {
          const { request } = message;
          return void events.admin(message.ask).then((answer) => answer && this.#send({ kind: 'admined', request, answer }));
        }
        case 'acknowledged': {
          this.#acknowledgements.get(message.incarnation)?.();
          this.#acknowledgements.delete(message.incarnation);
        }
      }
    });
    // Prepended: node:cluster ends the process in a listener of its own, unless it was told that this is meant. There is something to do
    // first; `orphaned` ends the process.
    worker.prependListener('disconnect', () => {
      if (cluster.worker) cluster.worker.exitedAfterDisconnect = true;
      events.orphaned();
    });
    this.#send({ kind: 'up' });
  }

  /** Resolves when the primary knows the incarnation and would delete its lease if we died. */
  acknowledge(incarnation: WorkerId): Promise<void> {
    return new Promise((resolve) => {
      this.#acknowledgements.set(incarnation, resolve);
      this.#send({ kind: 'incarnation', incarnation });
    });
  }

  reportReady(ready: boolean, reasons: readonly string[]): void {
    this.#send({ kind: 'ready', ready, reasons });
  }

  reportGroup(group: StdioGroup, alive: boolean): void {
    this.#send({ kind: 'group', group, alive });
  }

  reportReloaded(revision: number, error: string | undefined): void {
    this.#send({ kind: 'reloaded', revision, ...(error === undefined ? {} : { error }) });
  }

  reportApplied(revision: number): void {
    this.#send({ kind: 'applied', revision });
  }

  /** Resolves when the message has left: the process may end after it. */
  reportFailure(exitCode: number, message: string): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#process.connected || !this.#process.send) return resolve();
      this.#process.send({ kind: 'failed', exitCode, message } satisfies FromWorker, () => resolve());
    });
  }

  #send(message: FromWorker): void {
    // A closed channel tells itself by `disconnect`; what was to be said is of no use to anybody then.
    if (this.#process.connected) this.#process.send?.(message, (error: Error | null) => void error);
  }
}

/** For rejections that must not pass for one of ours. */
export function describeFailure(error: unknown): string {
  return error instanceof GatewayError || error instanceof Error ? (error.stack ?? error.message) : String(error);
}
