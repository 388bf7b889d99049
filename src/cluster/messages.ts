// What primary and workers say to each other over the process channel.
import type { AdminAnswer, AdminRequest } from '../admin/admin-request.js';
import type { WorkerId } from '../protocol/ids.js';

export interface StdioGroup {
  readonly pid: number;
  /** As the system tells it: with the pid, names a process that cannot be mistaken for a later one. */
  readonly startTime: string;
}

export type ToWorker =
  /** First message: everything it needs. `config` is the effective configuration, JSON-safe. */
  | {
      readonly kind: 'start';
      readonly config: unknown;
      readonly index: number;
      /** How many workers this primary runs. */
      readonly workers: number;
      readonly pod: string;
      readonly host: string;
      /** Of the public listener: as in `listen`, or found by the primary where each worker listens by itself and any port will do. */
      readonly publicPort: number;
      readonly redisUrl: string;
      readonly secrets: readonly string[];
      readonly socketDir: string;
      readonly guardedProcesses: readonly StdioGroup[];
    }
  /** The primary knows this incarnation: the lease may be written. */
  | { readonly kind: 'acknowledged'; readonly incarnation: WorkerId }
  /** Replaces what `start` said: the embedded Redis was started again. */
  | { readonly kind: 'guarded'; readonly guardedProcesses: readonly StdioGroup[] }
  /** Make everything of this configuration that can fail, and say whether it did not. Nothing changes yet. */
  | { readonly kind: 'reload'; readonly revision: number; readonly config: unknown }
  /** All workers have: it is in force from now on. */
  | { readonly kind: 'apply'; readonly revision: number }
  | { readonly kind: 'drain' }
  | { readonly kind: 'collect'; readonly request: number }
  /** The admin API is asked something; any worker can answer. */
  | { readonly kind: 'admin'; readonly request: number; readonly ask: AdminRequest };

export type FromWorker =
  /** It listens now: what is sent before this is lost (a cluster worker reads its channel before any listener is there). */
  | { readonly kind: 'up' }
  /** A new incarnation wants to be known before it writes a lease. */
  | { readonly kind: 'incarnation'; readonly incarnation: WorkerId }
  | { readonly kind: 'ready'; readonly ready: boolean; readonly reasons: readonly string[] }
  /** A stdio child (leader of its process group) was started or has ended. */
  | { readonly kind: 'group'; readonly group: StdioGroup; readonly alive: boolean }
  /** Ready to apply it, or why not. */
  | { readonly kind: 'reloaded'; readonly revision: number; readonly error?: string }
  | { readonly kind: 'applied'; readonly revision: number }
  | { readonly kind: 'collected'; readonly request: number; readonly metrics: unknown }
  | { readonly kind: 'admined'; readonly request: number; readonly answer: AdminAnswer }
  /** The worker cannot run; the primary stops everything with this exit code. */
  | { readonly kind: 'failed'; readonly exitCode: number; readonly message: string };
