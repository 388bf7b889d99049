// What is shown of a session: the policy of docs/admin-api.md, in one place. Never an id (of ours or of a backend), a token, a header, a
// name of a caller, what was called or answered.
import type { SessionRecord } from '../directory/directory.js';
import type { SessionRef } from '../protocol/ids.js';
import { isObject } from '../protocol/json-rpc.js';
import { timeText } from './time-text.js';

export interface SessionView {
  readonly ref: SessionRef;
  /** '' is `/mcp`. */
  readonly server: string;
  /** Null: nobody just now; whoever gets the next request takes it. */
  readonly owner: string | null;
  readonly epoch: number;
  readonly state: SessionRecord['state'];
  /** Digest. */
  readonly principal: string;
  readonly protocolVersion: string;
  readonly client: { readonly name: string | null; readonly version: string | null };
  readonly created: string;
  /** End of the idle time as it stands now; null: it is ending. */
  readonly expires: string | null;
  readonly backends: ReadonlyArray<{ readonly name: string; readonly protocolVersion: string; readonly generation: number }>;
}

/** What a client calls itself has no bound of its own. */
const MAX_NAME = 100;

export function viewSession(ref: SessionRef, record: SessionRecord, untilMs: number | undefined): SessionView {
  return {
    ref,
    server: record.serverId,
    owner: record.owner === '' ? null : record.owner,
    epoch: record.epoch,
    state: record.state,
    principal: record.principal,
    protocolVersion: record.protocolVersion,
    client: viewClient(record.client.clientInfo),
    created: timeText(record.createdMs),
    expires: untilMs === undefined ? null : timeText(untilMs),
    backends: Object.entries(record.backends).map(([name, { protocolVersion, generation }]) => ({
      name,
      protocolVersion,
      generation,
    })),
  };
}

function viewClient(info: unknown): SessionView['client'] {
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, MAX_NAME) : null);
  return isObject(info) ? { name: text(info.name), version: text(info.version) } : { name: null, version: null };
}
