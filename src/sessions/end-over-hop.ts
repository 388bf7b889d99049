// Both ends of telling an owner to end a session: an operation between workers, by reference, on the internal listener only.
import type { Lease } from '../directory/directory.js';
import { DirectoryUnavailable } from '../directory/directory.js';
import type { Forwarder } from '../forward/forward.js';
import { callWorker } from '../forward/own-call.js';
import type { Clock } from '../lifecycle/clock.js';
import type { SessionRef } from '../protocol/ids.js';
import { REFUSED_HEADER } from '../protocol/mcp.js';
import type { EndCause, Exchange, Principal } from '../streams/exchange.js';
import type { EndHere, EndOutcome } from './end-here.js';

const STATUS: Readonly<Record<Exclude<EndOutcome, 'moved'>, number>> = { ended: 202, gone: 404, alive: 409, later: 503 };
const OUTCOMES = new Map(Object.entries(STATUS).map(([outcome, status]) => [status, outcome as EndOutcome]));
/** No client stands behind it. */
const WORKER: Principal = { name: 'worker', digest: '-' };

/** `silent`: no answer in `withinMs`, or a hop that broke; it may have been done. Never rejects. */
export async function askToEnd(
  by: { readonly forwarder: Forwarder; readonly clock: Clock },
  to: Lease,
  ref: SessionRef,
  cause: EndCause,
  withinMs: number,
): Promise<EndOutcome | 'silent'> {
  const facts = { method: 'DELETE', serverId: '', headers: {}, principal: WORKER } as const;
  const outcome = await callWorker(by, facts, to, { kind: 'end', ref, cause }, withinMs);
  if (outcome.kind === 'answered') return OUTCOMES.get(outcome.status) ?? 'later';
  return outcome.kind === 'notOwner' ? 'moved' : 'silent';
}

/** The owner's side. */
export async function serveEnd(endHere: EndHere, exchange: Exchange, ref: SessionRef, cause: EndCause): Promise<void> {
  exchange.note.session = ref;
  const outcome = await endHere.end(ref, cause).catch((error: unknown): EndOutcome => {
    if (error instanceof DirectoryUnavailable) return 'later';
    throw error;
  });
  if (outcome === 'moved') exchange.answer.send(421, { [REFUSED_HEADER]: '-' });
  else exchange.answer.send(STATUS[outcome], {});
}
