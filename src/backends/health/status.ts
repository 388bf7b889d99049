// How a backend fares, as one worker sees it: what the admin API, the metric and the log tell. JSON-safe; names and words of closed
// lists, never an address, a header, an id or what the backend printed.
import type { Implementation } from '../../protocol/mcp.js';

/**
 * `unknown`: nothing of this worker has used it yet · `up` · `degraded`: its last opening, connection or list failed, calls are still
 * tried · `down`: calls fail at once until a probe has opened a session.
 */
export type HealthState = 'unknown' | 'up' | 'degraded' | 'down';

export interface BackendStatus {
  readonly backend: string;
  readonly state: HealthState;
  /** Why it is degraded or down: a word of the table in docs/backends.md, "Health". */
  readonly reason?: string;
  /** Wall time since when it is in this state, ms since the epoch. */
  readonly sinceMs: number;
  /** The last failure, also one that it has recovered from; `atMs` is wall time. */
  readonly lastError?: { readonly reason: string; readonly atMs: number };
  /** Failures in a row. */
  readonly failures: number;
  /** Backend sessions of this worker that are open, without those of probes. */
  readonly openSessions: number;
  /** Wall time of the next probe, ms since the epoch; absent where none is due. */
  readonly nextProbeMs?: number;
  /** What it told of itself at its last initialize. */
  readonly info?: { readonly serverInfo?: Implementation; readonly protocolVersion: string };
}

/** What the admin part of a worker asks. */
export interface HealthView {
  /** Every configured backend, in the order of the configuration. */
  list(): BackendStatus[];
}
