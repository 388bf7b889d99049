// Both ends of asking a worker what only it knows: an operation between workers, on the internal listener only. What is asked for and
// answered is the composition root's; here it is JSON.
import type { Lease } from '../directory/directory.js';
import type { Clock } from '../lifecycle/clock.js';
import type { Exchange, Principal } from '../streams/exchange.js';
import type { Forwarder } from './forward.js';
import { callWorker } from './own-call.js';

/** Form of the answer. A worker of another one says so: in a rolling upgrade both kinds live side by side. */
export const STATUS_VERSION = 1;
/** A few hundred bytes per configured backend. */
const MAX_STATUS_BYTES = 1024 * 1024;
/** No client stands behind it. */
const WORKER: Principal = { name: 'worker', digest: '-' };
const UNKNOWN_VERSION = 501;

/** @returns undefined if it does not answer in `withinMs`, or not in our form. Never rejects. */
export async function askStatus(
  by: { readonly forwarder: Forwarder; readonly clock: Clock },
  to: Lease,
  withinMs: number,
): Promise<unknown> {
  const facts = { method: 'GET', serverId: '', headers: {}, principal: WORKER } as const;
  const hop = { kind: 'status', version: STATUS_VERSION } as const;
  const outcome = await callWorker(by, facts, to, hop, withinMs, MAX_STATUS_BYTES);
  if (outcome.kind !== 'answered' || outcome.status !== 200) return undefined;
  try {
    return JSON.parse(outcome.body.toString());
  } catch {
    return undefined;
  }
}

/** The side of the one that is asked. */
export function serveStatus(exchange: Exchange, version: number, read: () => unknown): void {
  exchange.note.method = 'status';
  if (version !== STATUS_VERSION) exchange.answer.send(UNKNOWN_VERSION, {});
  else exchange.answer.send(200, { 'content-type': 'application/json' }, JSON.stringify(read()));
}
