// The process of a worker: follows its primary, and ends with it.
import { EXIT, StartError } from '../errors/start-error.js';
import { pause, systemClock } from '../lifecycle/clock.js';
import { endGuarded } from './end-guarded.js';
import { letHeapGrow } from './heap-growth.js';
import type { StdioGroup } from './messages.js';
import { type Running, startWorker } from './start-worker.js';
import { describeFailure, WorkerChannel } from './worker-channel.js';

/** An orphan tries for so long to free its sessions at once; else they are free when its lease is over. */
const LEAVE_BUDGET_MS = 500;

/**
 * @param worker this process
 * @param exit ends the process
 */
export function runWorker(worker: NodeJS.Process, exit: (code: number) => never): void {
  letHeapGrow();
  // A terminal sends its signals to every process of the group; workers follow their primary alone.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) worker.on(signal, () => undefined);
  /** Of the primary: ended by whoever survives it. */
  let guarded: readonly StdioGroup[] = [];
  const groups = new Map<number, StdioGroup>();
  let running: Running | undefined;
  /** Of the primary's messages: they wait for a start that is under way. */
  const waiting: Array<(running: Running) => void> = [];
  const whenRunning = (step: (running: Running) => void) => {
    if (running) step(running);
    else waiting.push(step);
  };
  const fail = async (error: unknown) => {
    const code = error instanceof StartError ? error.exitCode : EXIT.forced;
    await channel.reportFailure(code, error instanceof StartError ? error.message : describeFailure(error));
    exit(code);
  };
  const channel = new WorkerChannel(worker, {
    start(message) {
      guarded = message.guardedProcesses;
      startWorker(message, channel, groups, exit).then((started) => {
        running = started;
        for (const step of waiting.splice(0)) step(started);
      }, fail);
    },
    reload: (revision, config) =>
      whenRunning(({ reload }) => {
        channel.reportReloaded(revision, reload.prepare(revision, config));
      }),
    apply: (revision) =>
      whenRunning(({ reload }) => {
        // Half applied would be neither: a fresh worker starts with all of it.
        if (!reload.apply(revision)) exit(EXIT.forced);
        channel.reportApplied(revision);
      }),
    drain() {
      if (!running) exit(EXIT.ok);
      running.drain().then(() => exit(EXIT.ok), fail);
    },
    guarded(processes) {
      guarded = processes;
    },
    collect: () => running?.metrics.snapshot() ?? [],
    admin: async (request) => running?.admin.serve(request),
    orphaned() {
      // Children first, as a primary would: what they hold must be gone before somebody takes the sessions over. The guarded processes
      // (an embedded Redis among them) belong to the primary, and nobody is left to end them.
      endGuarded([...groups.values(), ...guarded]);
      const left = running?.leave() ?? Promise.resolve();
      Promise.race([left, pause(systemClock, LEAVE_BUDGET_MS)]).finally(() => exit(EXIT.forced));
    },
  });
}
