// Whether the pod can be sent requests, and if not, why: what Kubernetes and operators read.
import type { PodStatus } from '../admin/admin-app.js';
import type { WorkerSupervisor } from './worker-supervisor.js';

/** A pod is ready while at least one of its workers is. */
export function readPodStatus(supervisor: WorkerSupervisor, isStopping: boolean): PodStatus {
  const { lives, count } = supervisor;
  const ready = lives.filter(({ isReady }) => isReady).length;
  const reasons = [
    ...(isStopping ? ['stopping'] : []),
    ...(ready === 0 ? ['no worker is ready'] : []),
    ...lives.flatMap(({ index, isReady, reasons }) => (isReady ? [] : reasons.map((reason) => `worker ${index}: ${reason}`))),
  ];
  return { ready: ready > 0 && !isStopping, reasons, workers: { configured: count, ready } };
}
