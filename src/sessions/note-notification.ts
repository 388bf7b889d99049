// What a backend tells outside any call, or in one that it does not belong to. A changed list concerns every session that uses the
// backend, and all of them hear it from one place (list-changes.ts). Progress goes to the stream of its call, and nowhere once that has
// its answer. Everything else is this session's own and goes to its standalone stream.
import { isObject } from '../protocol/json-rpc.js';
import type { Session } from './session.js';
import type { SessionCatalogs } from './session-catalogs.js';

const LIST_CHANGED = 'list_changed"';
const PROGRESS = 'notifications/progress';

/** Relays a notification as it is; only one that may be a list_changed, or progress, is parsed. */
export function noteNotification(
  session: Session,
  backend: string,
  json: Buffer | string,
  catalogs: SessionCatalogs,
  nowMs: number,
): void {
  if (json.includes(LIST_CHANGED) || json.includes(PROGRESS)) {
    const { method, params } = read(json);
    if (method === PROGRESS) {
      passProgress(session, backend, params, json);
      return;
    }
    if (typeof method === 'string' && catalogs.noteChanged(session, backend, method)) return;
  }
  session.streams.tell(json, nowMs);
}

/** Some servers tell it on their standalone stream. Under a token that no running call gave, it is for nobody. */
function passProgress(session: Session, backend: string, params: unknown, json: Buffer | string): void {
  const token = isObject(params) ? params.progressToken : undefined;
  if (token === undefined) return;
  const call = session.calls.find((one) => one.progressToken === token && one.backend === backend);
  // A slow reader holds up nothing here: what it does not take is kept for it within bounds.
  if (call?.answer.carriesRequests) call.answer.message(json, false);
}

function read(json: Buffer | string): Record<string, unknown> {
  try {
    const message: unknown = JSON.parse(json.toString());
    return isObject(message) ? message : {};
  } catch {
    return {};
  }
}
