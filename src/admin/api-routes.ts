// The paths of the admin API, and how a request becomes a question to a worker. Refuses what it does not understand instead of ignoring
// it: a misspelt filter must not look like an answer.
import { isSessionRef, type SessionRef } from '../protocol/ids.js';
import { TEARDOWN_STATES, type TeardownState } from '../teardown/teardown-desk.js';
import { AdminError } from './admin-error.js';
import type { AdminRequest } from './admin-request.js';

type Method = 'get' | 'post' | 'delete';

export interface ApiRoute {
  readonly method: Method;
  /** As Express writes it. */
  readonly path: string;
  /** Query parameters that it knows. */
  readonly query: readonly string[];
  /** What is written down of it, beyond the answer: `docs/admin-api.md`, "Audit". */
  readonly audit?: string;
  /** @throws AdminError */
  read(query: Readonly<Record<string, string>>, id: string): AdminRequest;
}

/** Answered by the primary itself. */
export const POD_ROUTE = { method: 'get', path: '/api/pod', query: [] } as const satisfies Omit<ApiRoute, 'read'>;

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

export const API_ROUTES: readonly ApiRoute[] = [
  { method: 'get', path: '/api/workers', query: [], read: () => ({ kind: 'workers' }) },
  { method: 'get', path: '/api/backends', query: [], read: () => ({ kind: 'backends' }) },
  { method: 'get', path: '/api/servers', query: [], read: () => ({ kind: 'servers' }) },
  {
    method: 'get',
    path: '/api/sessions',
    query: ['server', 'owner', 'principal', 'limit', 'cursor'],
    read: ({ server, owner, principal, limit, cursor }) => ({
      kind: 'sessions',
      filter: {
        ...(server !== undefined && { server }),
        ...(owner !== undefined && { owner }),
        ...(principal !== undefined && { principal }),
      },
      limit: readLimit(limit),
      ...(cursor !== undefined && { cursor }),
    }),
  },
  {
    method: 'get',
    path: '/api/sessions/:id',
    query: [],
    audit: 'session.show',
    read: (_, id) => ({ kind: 'session', ref: readRef(id) }),
  },
  {
    method: 'delete',
    path: '/api/sessions/:id',
    query: [],
    audit: 'session.kill',
    read: (_, id) => ({ kind: 'kill', ref: readRef(id) }),
  },
  {
    method: 'get',
    path: '/api/teardowns',
    query: ['state', 'limit', 'cursor'],
    read: ({ state, limit, cursor }) => ({
      kind: 'teardowns',
      state: readState(state),
      limit: readLimit(limit),
      ...(cursor !== undefined && { cursor }),
    }),
  },
  {
    method: 'post',
    path: '/api/teardowns/retry',
    query: ['backend'],
    audit: 'teardown.retryAll',
    read: ({ backend }) => ({ kind: 'retryAll', ...(backend !== undefined && { backend }) }),
  },
  {
    method: 'post',
    path: '/api/teardowns/:id/retry',
    query: [],
    audit: 'teardown.retry',
    read: (_, id) => ({ kind: 'retry', id }),
  },
  { method: 'delete', path: '/api/teardowns/:id', query: [], audit: 'teardown.drop', read: (_, id) => ({ kind: 'drop', id }) },
];

/** @throws AdminError BAD_QUERY for what the route does not know, and for what comes twice */
export function readQuery(route: Pick<ApiRoute, 'query'>, query: Readonly<Record<string, unknown>>): Record<string, string> {
  const read: Record<string, string> = {};
  for (const [name, value] of Object.entries(query)) {
    if (!route.query.includes(name)) {
      const known = route.query.length ? `there are ${route.query.join(', ')}` : 'there are none';
      throw new AdminError('BAD_QUERY', `There is no query parameter "${name.slice(0, 50)}" here; ${known}`);
    }
    if (typeof value !== 'string') throw new AdminError('BAD_QUERY', `The query parameter "${name}" is given twice`);
    read[name] = value;
  }
  return read;
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new AdminError('BAD_QUERY', `limit must be a whole number from 1 to ${MAX_LIMIT}`);
}

function readState(text: string | undefined): TeardownState {
  const state = TEARDOWN_STATES.find((known) => known === (text ?? 'failed'));
  if (state) return state;
  throw new AdminError('BAD_QUERY', `state must be one of ${TEARDOWN_STATES.join(', ')}`);
}

/** What no session can have is unknown, like one that has ended. */
function readRef(text: string): SessionRef {
  if (isSessionRef(text)) return text;
  throw new AdminError('SESSION_UNKNOWN');
}
