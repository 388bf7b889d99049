// Asks every worker of the cluster what only it knows. One that hangs costs its own answer and nothing else.
import type { Lease } from '../directory/directory.js';
import type { ListedLease, Overview } from '../directory/overview.js';
import type { Clock } from '../lifecycle/clock.js';
import type { WorkerId } from '../protocol/ids.js';
import { asWorkerStatus, type WorkerStatus } from './worker-status.js';

export interface AskedWorker extends ListedLease {
  /** Undefined: it did not answer in time. */
  readonly status: WorkerStatus | undefined;
}

export interface WorkersParts {
  readonly overview: Overview;
  readonly clock: Clock;
  /** Of this worker. */
  readonly ownId: () => WorkerId;
  readonly ownStatus: () => WorkerStatus;
  /** Over the hop; undefined if there is no answer in time. Never rejects. */
  readonly ask: (to: Lease, withinMs: number) => Promise<unknown>;
}

const ANSWER_MS = 1000;
/** Of all together: below what the primary waits for us. */
const ALL_MS = 2000;
/** Each may have to be connected to first. */
const AT_A_TIME = 64;

/** In the order of host, pod and index. @throws DirectoryUnavailable */
export async function askWorkers({ overview, clock, ownId, ownStatus, ask }: WorkersParts): Promise<AskedWorker[]> {
  const leases = await overview.listLeases();
  const untilMs = clock.monotonicMs() + ALL_MS;
  const asked: AskedWorker[] = [];
  const waiting = [...leases];
  const work = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const { lease } = next;
      const leftMs = Math.min(ANSWER_MS, untilMs - clock.monotonicMs());
      const status = lease.id === ownId() ? ownStatus() : leftMs > 0 ? asWorkerStatus(await ask(lease, leftMs)) : undefined;
      asked.push({ ...next, status });
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, leases.length) }, work));
  return asked.sort(
    ({ lease: a }, { lease: b }) => a.host.localeCompare(b.host) || a.pod.localeCompare(b.pod) || a.index - b.index,
  );
}
