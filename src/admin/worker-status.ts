// What only a worker itself knows, as it tells the others (hop `status`). Names and words of closed lists: nothing secret.
import { isObject } from '../protocol/json-rpc.js';

/** How a backend fares for one worker. */
export interface BackendReport {
  readonly backend: string;
  /** `unknown`: nothing of this worker has used it yet. */
  readonly state: 'unknown' | 'up' | 'degraded' | 'down';
  /** Why it is not up: a word. */
  readonly reason?: string;
  /** In this state since, ms since the epoch. */
  readonly sinceMs?: number;
  /** Failures in a row. */
  readonly failures?: number;
  /** Also one that it has recovered from; `atMs` is wall time. */
  readonly lastError?: { readonly reason: string; readonly atMs: number };
  /** When it is looked at next, ms since the epoch; absent where that is not due. */
  readonly nextProbeMs?: number;
  /** Of this worker. */
  readonly openSessions?: number;
}

export interface WorkerStatus {
  /** Sessions it owns. */
  readonly sessions: number;
  /** Event streams of its sessions that clients hold open. */
  readonly streams: number;
  readonly backendSessions: number;
  readonly backends: readonly BackendReport[];
  /** Exposed tools by id of the virtual server, where all lists were read. */
  readonly tools: Readonly<Record<string, number>>;
  /** What is odd about a virtual server, by its id, where all lists were read. Workers of an older version tell none. */
  readonly warnings?: Readonly<Record<string, readonly ServerOddity[]>>;
}

export interface ServerOddity {
  /** The same on every worker that finds it. */
  readonly about: string;
  readonly text: string;
}

/** What came over the hop, or undefined if it is none of that. */
export function asWorkerStatus(value: unknown): WorkerStatus | undefined {
  if (!isObject(value) || !Array.isArray(value.backends) || !isObject(value.tools)) return undefined;
  const counts = [value.sessions, value.streams, value.backendSessions];
  return counts.every((count) => typeof count === 'number') ? (value as unknown as WorkerStatus) : undefined;
}
