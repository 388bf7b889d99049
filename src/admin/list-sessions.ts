// A page of sessions. Filters are looked for page by page, so that one request reads a bounded number of records: a page may hold fewer
// than were asked for, none even, and the list still goes on.
import type { Overview } from '../directory/overview.js';
import type { AdminRequest, SessionFilter } from './admin-request.js';
import { decodePosition, encodePosition } from './cursor.js';
import { type SessionView, viewSession } from './session-view.js';

/** Records that one request reads. */
const MAX_READ = 2000;
const BATCH = 200;

export interface SessionPage {
  readonly sessions: ReadonlyArray<SessionView | { readonly ref: string; readonly state: 'unreadable' }>;
  /** Absent on the last page. */
  readonly cursor?: string;
}

/** @throws AdminError BAD_CURSOR, DirectoryUnavailable */
export async function listSessions(
  overview: Overview,
  { filter, limit, cursor }: Extract<AdminRequest, { kind: 'sessions' }>,
): Promise<SessionPage> {
  const sessions: Array<SessionPage['sessions'][number]> = [];
  const isFiltered = Object.keys(filter).length > 0;
  let after = decodePosition(cursor);
  for (let read = 0; read < MAX_READ; ) {
    const size = Math.min(isFiltered ? BATCH : limit - sessions.length, MAX_READ - read);
    const batch = await overview.listSessions(after, size);
    read += batch.length;
    for (const { ref, untilMs, record } of batch) {
      after = { ref, untilMs };
      if (record === 'unreadable') {
        if (!isFiltered) sessions.push({ ref, state: 'unreadable' });
      } else if (record) {
        const view = viewSession(ref, record, untilMs);
        if (matches(view, filter)) sessions.push(view);
      }
      if (sessions.length === limit) return { sessions, cursor: encodePosition(after) };
    }
    if (batch.length < size) return { sessions };
  }
  return after ? { sessions, cursor: encodePosition(after) } : { sessions };
}

function matches({ server, owner, principal }: SessionView, filter: SessionFilter): boolean {
  if (filter.server !== undefined && server !== filter.server) return false;
  if (filter.principal !== undefined && principal !== filter.principal) return false;
  if (filter.owner === undefined) return true;
  if (owner === null) return filter.owner === 'none';
  return owner === filter.owner || owner.startsWith(`${filter.owner}.`);
}
