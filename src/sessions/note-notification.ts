// What a backend tells outside any call. A changed list concerns every session that uses the backend, and all of them hear it from
// one place (list-changes.ts); everything else is this session's own and goes to its standalone stream.
import { isObject } from '../protocol/json-rpc.js';
import type { Session } from './session.js';
import type { SessionCatalogs } from './session-catalogs.js';

const LIST_CHANGED = 'list_changed"';

/** Relays a notification as it is; only one that may be a list_changed is parsed. */
export function noteNotification(
  session: Session,
  backend: string,
  json: Buffer | string,
  catalogs: SessionCatalogs,
  nowMs: number,
): void {
  if (json.includes(LIST_CHANGED)) {
    const method = methodOf(json);
    if (method && catalogs.noteChanged(session, backend, method)) return;
  }
  session.streams.tell(json, nowMs);
}

function methodOf(json: Buffer | string): string | undefined {
  try {
    const message: unknown = JSON.parse(json.toString());
    return isObject(message) && typeof message.method === 'string' ? message.method : undefined;
  } catch {
    return undefined;
  }
}
