// What the primary asks one of its workers on behalf of the admin API, and what comes back. JSON-safe: it crosses the process channel.
import type { SessionRef } from '../protocol/ids.js';
import type { TeardownState } from '../teardown/teardown-desk.js';

export interface SessionFilter {
  /** Id of the virtual server; '' is `/mcp`. */
  readonly server?: string;
  /** Id of a worker, or its name without the incarnation; `none`: sessions that nobody owns just now. */
  readonly owner?: string;
  /** Digest of the principal. */
  readonly principal?: string;
}

export type AdminRequest =
  | { readonly kind: 'workers' }
  | { readonly kind: 'backends' }
  | { readonly kind: 'servers' }
  | { readonly kind: 'sessions'; readonly filter: SessionFilter; readonly limit: number; readonly cursor?: string }
  | { readonly kind: 'session'; readonly ref: SessionRef }
  | { readonly kind: 'kill'; readonly ref: SessionRef }
  | { readonly kind: 'teardowns'; readonly state: TeardownState; readonly limit: number; readonly cursor?: string }
  | { readonly kind: 'retry'; readonly id: string }
  | { readonly kind: 'retryAll'; readonly backend?: string }
  | { readonly kind: 'drop'; readonly id: string };

export interface AdminAnswer {
  readonly status: number;
  readonly body: unknown;
}
