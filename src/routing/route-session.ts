// THE decision: where a request of a session has to be served. It acts on nothing; whoever asked carries it out and asks again when
// the world has changed meanwhile.
import { DirectoryUnavailable, type Lease, type SessionRecord } from '../directory/directory.js';
import { type OwnerToken, referenceOf, type SessionId, type SessionRef } from '../protocol/ids.js';
import type { LeaseKeeper } from '../sessions/lease-keeper.js';
import type { Session } from '../sessions/session.js';
import type { SessionTable } from '../sessions/session-table.js';
import type { KnownOwner, OwnerCache } from './owner-cache.js';
import type { HoldCause } from './probe.js';
import type { RoutingDirectory } from './shared-reads.js';

export type Decision =
  /** It is in our table (it may still be claiming back: the server of the session waits for that). */
  | { readonly kind: 'local'; readonly session: Session }
  | { readonly kind: 'forward'; readonly owner: KnownOwner }
  /** Nobody's, or a dead owner's: claim it from exactly this token. */
  | { readonly kind: 'takeOver'; readonly from: OwnerToken; readonly record: SessionRecord }
  /** Free, but we drain: this worker may claim it. */
  | { readonly kind: 'delegate'; readonly to: Lease }
  /** Not known yet; `cause` names what is waited for. */
  | { readonly kind: 'hold'; readonly cause: HoldCause }
  /** `foreign`: there is such a session, but the caller is a stranger to it. Nobody but the audit is told the difference. */
  | { readonly kind: 'gone'; readonly foreign?: SessionRef };

export interface RoutingView {
  readonly table: SessionTable;
  readonly owners: OwnerCache;
  readonly directory: RoutingDirectory;
  readonly keeper: LeaseKeeper;
}

export interface RoutingRequest {
  readonly id: SessionId;
  readonly serverId: string;
  /** Digest of the principal. */
  readonly principal: string;
  /** A hop to this pair was refused with 421: only a newer pair may be hopped to (no loop can form). */
  readonly refused: OwnerToken | undefined;
}

/** Whether `token` is newer than the refused one: a higher epoch, or another owner at no lower epoch. */
export function isNewer(token: OwnerToken, refused: OwnerToken): boolean {
  return token.epoch > refused.epoch || (token.epoch === refused.epoch && token.owner !== refused.owner);
}

/** The synchronous part: the owner's path and a cached forward cost no Redis command. */
export function routeFromMemory(view: RoutingView, request: RoutingRequest): Decision | undefined {
  const session = view.table.get(request.id);
  if (session) return { kind: 'local', session };
  const owner = view.owners.get(request.id);
  if (owner && !view.keeper.isOwn(owner.token.owner) && (!request.refused || isNewer(owner.token, request.refused))) {
    return { kind: 'forward', owner };
  }
  return undefined;
}

/** Reads the record and the owner's lease. Never rejects: a silent directory is a reason to hold. */
export async function routeFromDirectory(view: RoutingView, request: RoutingRequest): Promise<Decision> {
  try {
    return await decide(view, request);
  } catch (error) {
    if (error instanceof DirectoryUnavailable) return { kind: 'hold', cause: 'redis' };
    throw error;
  }
}

async function decide(view: RoutingView, request: RoutingRequest): Promise<Decision> {
  const ref = referenceOf(request.id);
  const read = await view.directory.readSession(ref);
  // Race: while we read, a take-over on this worker may have put it into the table.
  const session = view.table.get(request.id);
  if (session) return { kind: 'local', session };
  // After a reconnect to data that may be older, its owner may not have written it anew yet.
  if (read.kind === 'gone') return view.keeper.isDataSettled() ? { kind: 'gone' } : { kind: 'hold', cause: 'settling' };
  if (read.kind === 'settling') return { kind: 'hold', cause: 'settling' };
  const { record } = read;
  if (record.state === 'closing') return { kind: 'gone' };
  // A stranger must not even cause a take-over.
  if (record.principal !== request.principal) return { kind: 'gone', foreign: ref };
  if (record.serverId !== request.serverId) return { kind: 'gone' };

  const from: OwnerToken = { owner: record.owner, epoch: record.epoch };
  if (from.owner === '') return claimOrDelegate(view, from, record);
  // Ours by the record but not in the table: an earlier incarnation of this process held it, or we dropped it.
  if (view.keeper.isOwn(from.owner)) return claimOrDelegate(view, from, record);

  const lease = await view.directory.readLease(from.owner);
  if (!lease) {
    // Rule 2: gone means gone for ever, so this reading cannot be overtaken by a renewal.
    return claimOrDelegate(view, from, record);
  }
  if (request.refused && !isNewer(from, request.refused)) return { kind: 'hold', cause: from.owner };
  // Race: the record was read before it was closed in its owner's place, and to ask that owner would be to wait for it.
  if (view.owners.hasEnded(ref)) return { kind: 'gone' };
  const owner: KnownOwner = { ref, token: from, lease, protocolVersion: record.protocolVersion };
  view.owners.set(request.id, owner);
  return { kind: 'forward', owner };
}

async function claimOrDelegate(view: RoutingView, from: OwnerToken, record: SessionRecord): Promise<Decision> {
  if (view.keeper.isDraining) {
    const to = await findStayingWorker(view);
    // Nobody stays: the last worker of the cluster serves on.
    return to ? { kind: 'delegate', to } : takeOverOrHold(view, from, record, true);
  }
  return takeOverOrHold(view, from, record, false);
}

function takeOverOrHold(view: RoutingView, from: OwnerToken, record: SessionRecord, last: boolean): Decision {
  const own = from.owner === '' || view.keeper.isOwn(from.owner);
  const allowed = own || last ? view.keeper.mayClaim() : view.keeper.mayTakeOver();
  return allowed ? { kind: 'takeOver', from, record } : { kind: 'hold', cause: 'lease' };
}

/** A live worker that does not drain; not always the same one, so that what a leaving pod had spreads. */
export async function findStayingWorker(view: Pick<RoutingView, 'directory' | 'keeper'>): Promise<Lease | undefined> {
  const staying = (await view.directory.listWorkers()).filter((lease) => !lease.draining && lease.id !== view.keeper.id);
  return staying[Math.floor(Math.random() * staying.length)];
}
