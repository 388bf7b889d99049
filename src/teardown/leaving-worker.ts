// BullMQ's worker, whose close() has no time-out of its own: it waits for jobs and for Redis as long as they take.
import { Worker } from 'bullmq';

export class LeavingWorker<Data, Result> extends Worker<Data, Result> {
  /**
   * To be called when close() takes too long: nothing of this worker lives on. Jobs that still run are renewed no more, so that others
   * find them stalled; its own connection stops reconnecting. The pending close() may then never settle.
   */
  abandon(): void {
    // Stops the search for stalled jobs, whose timer would keep the process alive.
    this.pause(true).catch(() => undefined);
    this.lockManager.close().catch(() => undefined);
    this.getBackend()
      .disconnectBlocking(false)
      .catch(() => undefined);
  }
}
