// What the workers say of one backend, as one word for the cluster. A list that could not be read makes a backend degraded, with the
// reason: never running without tools.
import type { AskedWorker } from './ask-workers.js';
import { timeText } from './time-text.js';
import type { BackendReport } from './worker-status.js';

export interface BackendHealth {
  /** up: all workers that have used it say so · degraded: it fails for some, or partly · down: for all of them · unknown: used by none. */
  readonly state: BackendReport['state'];
  readonly reason: string | null;
  readonly workers: ReadonlyArray<{
    readonly worker: string;
    /** False: nothing is known of it; the rest is null then. */
    readonly answered: boolean;
    readonly state: BackendReport['state'] | null;
    readonly reason: string | null;
    readonly since: string | null;
    readonly failures: number | null;
    /** Also one that it has recovered from. */
    readonly lastError: { readonly reason: string; readonly at: string } | null;
    readonly nextProbe: string | null;
    readonly sessions: number | null;
  }>;
}

export function mergeBackend(name: string, asked: readonly AskedWorker[]): BackendHealth {
  const reports = asked.map(({ lease, status }) => ({
    worker: lease.id,
    answered: status !== undefined,
    report: status?.backends.find(({ backend }) => backend === name),
  }));
  const known = reports.flatMap(({ report }) => (report && report.state !== 'unknown' ? [report] : []));
  const state = mergeStates(known);
  return {
    state,
    // The worst speaks for all.
    reason:
      state === 'up' ? null : ((known.find((one) => one.state === 'down') ?? known.find((one) => one.reason))?.reason ?? null),
    workers: reports.map(({ worker, answered, report }) => ({
      worker,
      answered,
      state: report?.state ?? null,
      reason: report?.reason ?? null,
      since: momentText(report?.sinceMs),
      failures: report?.failures ?? null,
      lastError: report?.lastError ? { reason: report.lastError.reason, at: timeText(report.lastError.atMs) } : null,
      nextProbe: momentText(report?.nextProbeMs),
      sessions: report?.openSessions ?? null,
    })),
  };
}

const momentText = (ms: number | undefined) => (ms === undefined ? null : timeText(ms));

function mergeStates(known: readonly BackendReport[]): BackendReport['state'] {
  if (known.length === 0) return 'unknown';
  const every = (state: BackendReport['state']) => known.every((report) => report.state === state);
  return every('up') ? 'up' : every('down') ? 'down' : 'degraded';
}
