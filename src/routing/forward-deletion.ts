// DELETE at an owner that may be silent: it has a second, then the id is dead all the same and the owner is told in the background.
import { DirectoryUnavailable } from '../directory/directory.js';
import { GatewayError } from '../errors/gateway-error.js';
import type { ForwardOutcome, Forwarder } from '../forward/forward.js';
import { callWorker } from '../forward/own-call.js';
import type { Clock } from '../lifecycle/clock.js';
import type { SessionRef } from '../protocol/ids.js';
import { VERSION_HEADER } from '../protocol/mcp.js';
import { ANSWER_MS, type OwnerTeller } from '../sessions/tell-owner.js';
import type { Exchange } from '../streams/exchange.js';
import type { KnownOwner } from './owner-cache.js';
import type { HoldCause } from './probe.js';
import type { Progress } from './progress.js';

export interface ForwardDeletionParts {
  readonly clock: Clock;
  readonly forwarder: Forwarder;
  readonly teller: Pick<OwnerTeller, 'closeInPlaceOf'>;
  readonly metrics: { forwarded(durationMs: number, outcome: ForwardOutcome['kind']): void };
  audit(ref: SessionRef, exchange: Exchange): void;
  warn(message: string, details: Record<string, unknown>): void;
}

/** `closedHere`: the owner was silent; `next` is what to wait for, undefined once the exchange is answered. */
export type DeletionOutcome = ForwardOutcome | { readonly kind: 'closedHere'; readonly next: HoldCause | 'again' | undefined };

/** What a DELETE remembers over all its attempts. */
type DeletionProgress = Pick<Progress, 'silent' | 'silentFromMs' | 'mayHaveEnded' | 'endedVersion'>;

/**
 * A hop that is given up here may still end the session there: that is what was asked for. Each owner has a second, over all attempts:
 * the next one is not silent because the one before it was.
 * @param progress until when the owner may be silent, and whether an attempt may have ended the session; kept up to date here
 * @throws GatewayError SESSION_NOT_FOUND
 */
export async function forwardDeletion(
  parts: ForwardDeletionParts,
  exchange: Exchange,
  owner: KnownOwner,
  progress: DeletionProgress,
): Promise<DeletionOutcome> {
  const silentFromMs = silentFrom(progress, owner, parts.clock);
  const outcome = await sendDeletion(parts, exchange, owner, silentFromMs, progress.mayHaveEnded);
  if (outcome.kind === 'broken' || outcome.kind === 'closedHere') {
    progress.mayHaveEnded = true;
    progress.endedVersion = owner.protocolVersion;
  }
  return outcome;
}

function silentFrom(progress: DeletionProgress, { token }: KnownOwner, clock: Clock): number {
  const { silent, silentFromMs } = progress;
  if (silentFromMs !== undefined && silent?.owner === token.owner && silent.epoch === token.epoch) return silentFromMs;
  progress.silent = token;
  progress.silentFromMs = clock.monotonicMs() + ANSWER_MS;
  return progress.silentFromMs;
}

async function sendDeletion(
  parts: ForwardDeletionParts,
  exchange: Exchange,
  owner: KnownOwner,
  silentFromMs: number,
  mayHaveEnded: boolean,
): Promise<DeletionOutcome> {
  const startedMs = parts.clock.monotonicMs();
  const leftMs = silentFromMs - startedMs;
  if (leftMs <= 0) return closeInPlaceOf(parts, exchange, owner);
  const outcome = await callWorker(parts, exchange, owner.lease, { kind: 'named', token: owner.token }, leftMs);
  parts.metrics.forwarded(parts.clock.monotonicMs() - startedMs, outcome.kind === 'silent' ? 'broken' : outcome.kind);
  if (outcome.kind === 'silent') return closeInPlaceOf(parts, exchange, owner);
  if (outcome.kind === 'answered') {
    const isGone = outcome.status === 404 && mayHaveEnded;
    exchange.note.outcome = outcome.status >= 400 && !isGone ? `HTTP_${outcome.status}` : 'ok';
    if (isGone) acceptDeletion(exchange, owner.protocolVersion);
    else exchange.answer.send(outcome.status, outcome.headers, outcome.body);
  }
  return outcome;
}

async function closeInPlaceOf(
  { teller, audit, warn }: ForwardDeletionParts,
  exchange: Exchange,
  { ref, token, protocolVersion }: KnownOwner,
): Promise<DeletionOutcome> {
  const of = { serverId: exchange.serverId, principal: exchange.principal.digest };
  try {
    const outcome = await teller.closeInPlaceOf(token, ref, of);
    // Another owner by now: it is told like the first, but has no second of its own left.
    if (outcome === 'moved') return { kind: 'closedHere', next: 'again' };
    if (outcome === 'foreign') audit(ref, exchange);
    if (outcome === 'gone' || outcome === 'foreign') throw new GatewayError('SESSION_NOT_FOUND');
  } catch (error) {
    if (error instanceof DirectoryUnavailable) return { kind: 'closedHere', next: 'redis' };
    throw error;
  }
  warn('an owner does not answer: its session was ended for it', { session: ref, owner: token.owner });
  acceptDeletion(exchange, protocolVersion);
  return { kind: 'closedHere', next: undefined };
}

/** As the owner would have: with the version of the session, where it is known. Not for whom the session may not exist. */
export function acceptDeletion({ answer }: Exchange, protocolVersion: string | undefined): void {
  answer.send(202, protocolVersion === undefined ? {} : { [VERSION_HEADER]: protocolVersion });
}
