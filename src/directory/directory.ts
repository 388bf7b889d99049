// Contract of the directory: which worker owns which session, and which workers live. Implementations keep to the rules of
// docs/architecture.md ("Ownership"); every verb is one Lua script or one command, idempotent, and never spans two hash slots.
// Any method rejects with DirectoryUnavailable when Redis does not answer in time: the outcome of that step is then unknown.
import type { Epoch, OwnerToken, SessionRef, WorkerId } from '../protocol/ids.js';
import type { Capabilities } from '../protocol/mcp.js';

export class DirectoryUnavailable extends Error {
  constructor(cause: unknown) {
    super('the directory (Redis) does not answer', { cause });
    this.name = 'DirectoryUnavailable';
  }
}

/** Redis answers, but what stands there is no record of ours: to ask again changes nothing. */
export class UnreadableRecord extends DirectoryUnavailable {
  constructor(cause: unknown) {
    super(cause);
    this.name = 'UnreadableRecord';
  }
}

/** Ownership refused a write: the token is not (or no longer) in force, or the session ends or is gone. */
export type Refusal = { readonly kind: 'fenced' } | { readonly kind: 'closing' } | { readonly kind: 'missing' };

/** What a record keeps of one backend session, enough for another worker to go on with it and to end it. */
export interface BackendSessionRecord {
  /** Grows with every (re-)initialize of this backend in this session; 1 is the first. */
  readonly generation: number;
  /** Sealed JSON (see secrets/seal.ts) of { id, headers }: the id the backend issued and the headers that teardown needs. */
  readonly sealed: string;
  /** The version that the backend negotiated. */
  readonly protocolVersion: string;
  readonly capabilities: Capabilities;
  /** `http`: it lives on without its worker and has to be ended; else it dies with it. */
  readonly transport: 'http' | 'stdio' | 'sse';
  /** Of backend and id (`digestOfBackendSession`): where the index of open ids has it. Missing where the backend issued no id. */
  readonly digest?: string;
  /** False: saved, but whether the backend has taken `notifications/initialized` is not. Missing: it has. */
  readonly isConfirmed?: boolean;
}

/** Who has a backend session open, by the index of open ids. */
export interface OpenHolder {
  readonly ref: SessionRef;
  readonly generation: number;
}

/** Characters of all ids of questions in a record, each with a comma: some 110 where backends number them, 60 where theirs are UUIDs. */
export const MAX_ASKED_LENGTH = 8 * 1024;

export interface SessionRecord {
  readonly owner: WorkerId | '';
  readonly epoch: Epoch;
  readonly state: 'active' | 'closing';
  readonly serverId: string;
  /** Digest of the principal; never its name. */
  readonly principal: string;
  readonly protocolVersion: string;
  /** What the client said at initialize: { clientInfo, capabilities }. */
  readonly client: { readonly clientInfo: unknown; readonly capabilities: unknown };
  readonly createdMs: number;
  readonly backends: Readonly<Record<string, BackendSessionRecord>>;
  /** What names mean to its client, by kind: text that the directory does not read. Missing: nothing was saved. */
  readonly names?: SavedNames;
  /** Sealed: what its client has asked for that stands until it takes it back. Missing: nothing. */
  readonly standing?: string;
  /** Marks of questions to its client whose answers were delivered, oldest first; only the last ones. */
  readonly answered?: readonly string[];
  /** Ids under which its client was asked, answered ones among them, oldest first; only the last ones (MAX_ASKED_LENGTH). */
  readonly asked?: readonly string[];
}

export type NewSessionRecord = Omit<SessionRecord, 'state' | 'owner'> & {
  readonly owner: WorkerId;
  /** Default `active`; `closing` for a tombstone, so that what was ended is at no moment seen alive. */
  readonly state?: SessionRecord['state'];
};

export type ClaimOutcome =
  | { readonly kind: 'claimed'; readonly epoch: Epoch; readonly record: SessionRecord }
  /** Somebody else changed the owner first: the token in force. */
  | { readonly kind: 'ownedByOther'; readonly token: OwnerToken }
  | { readonly kind: 'closing' }
  | { readonly kind: 'missing' };

/** What a live worker tells the others, held in its lease. */
export interface Lease {
  readonly id: WorkerId;
  /** Index of the worker in its primary, 1..n. */
  readonly index: number;
  /** Of the process, for operators; means something on its host only. */
  readonly pid: number;
  /** Random per primary: workers of one pod reach each other over the Unix socket. */
  readonly pod: string;
  /** Identifies the host; a lease from another host while internal.host is loopback refuses the start. */
  readonly host: string;
  readonly unixSocket: string;
  /** Present where Redis is shared. */
  readonly tcp?: { readonly host: string; readonly port: number };
  readonly draining: boolean;
  readonly startedMs: number;
}

/** `lost`: the record went away with Redis' data (hold, do not answer 404); `gone`: it is truly gone. */
export type ReadOutcome =
  | { readonly kind: 'found'; readonly record: SessionRecord }
  | { readonly kind: 'gone' }
  | { readonly kind: 'settling' };

/** Text by kind; a kind that is missing is removed. */
export type SavedNames = Readonly<Partial<Record<'tools' | 'prompts', string>>>;

/** What an owner holds in memory of a session. */
export interface HeldSession {
  readonly ref: SessionRef;
  readonly token: OwnerToken;
  /** Generations of its backend sessions, by backend. */
  readonly generations: Readonly<Record<string, number>>;
  /** As SessionRecord has it; '': nothing. */
  readonly standing: string;
  /** Marks that the record is to have; default none. */
  readonly answered?: readonly string[];
  /** Ids of questions that it is to have; default none. */
  readonly asked?: readonly string[];
}

export type Verdict = 'valid' | 'outdated' | 'fenced' | 'closing' | 'missing';

export interface Directory {
  // --- sessions -------------------------------------------------------------------------------------------------------
  /** Rule 11, step 1: a place among all sessions, with score `untilMs`. Refused at the cap. Idempotent for the same ref. */
  reserveTotal(ref: SessionRef, untilMs: number, cap: number): Promise<'reserved' | 'full'>;
  /** Rule 11, step 2: a place among the principal's sessions. Refused at the cap. Idempotent for the same ref. */
  reservePrincipal(principal: string, ref: SessionRef, cap: number): Promise<'reserved' | 'full'>;
  /**
   * Rule 11, step 3: writes a new record. `exists` if there is one with another owner or epoch (never with a fresh id);
   * repeating it with the same nonce returns `created` again. With `replaceLower` a record with a lower epoch is replaced.
   */
  createSession(
    ref: SessionRef,
    record: NewSessionRecord,
    nonce: string,
    replaceLower?: boolean,
  ): Promise<'created' | 'exists' | 'closing'>;
  /** Rule 9: a missing record is `gone` only if `generation`, read after it, is the remembered one and nothing settles. */
  readSession(ref: SessionRef): Promise<ReadOutcome>;
  /**
   * Rule 1: compare-and-set from exactly `from` to (claimant, from.epoch + 1). The caller has made sure that it is allowed.
   * @param above an epoch that the new one has to exceed as well: after a loss of data the record may hold an older one than its owner
   *   knows, and no other worker must hold the new token for an old one. Default 0
   */
  claimSession(ref: SessionRef, from: OwnerToken, claimant: WorkerId, nonce: string, above?: Epoch): Promise<ClaimOutcome>;
  /** Gives the session up: owner becomes '', epoch stays. */
  releaseSession(ref: SessionRef, token: OwnerToken): Promise<{ readonly kind: 'released' } | Refusal>;
  /**
   * Saves a backend session by compare-and-set on its generation (0: none yet), and its id in the index of open ids, in parallel: both
   * stand before it resolves. With the generation that is saved already only the value is written anew. A refused save leaves its entry in the index to the teardown of what was not saved.
   */
  saveBackendSession(
    ref: SessionRef,
    token: OwnerToken,
    backend: string,
    previousGeneration: number,
    value: BackendSessionRecord,
  ): Promise<{ readonly kind: 'saved' } | { readonly kind: 'conflict' } | Refusal>;
  /** Saves what names mean to the session's client, all kinds at once. */
  saveNames(ref: SessionRef, token: OwnerToken, names: SavedNames): Promise<{ readonly kind: 'saved' } | Refusal>;
  /** Saves what stands (sealed), '': nothing. */
  saveStanding(ref: SessionRef, token: OwnerToken, standing: string): Promise<{ readonly kind: 'saved' } | Refusal>;

  /** Remembers for the next owner that an answer of the client was delivered. @param mark a few characters, without a comma */
  noteAnswered(ref: SessionRef, token: OwnerToken, mark: string): Promise<{ readonly kind: 'saved' } | Refusal>;
  /**
   * Remembers for the next owner what the client was asked: whoever asked may take it back. Idempotent.
   * @param id without a comma; one that alone has more than MAX_ASKED_LENGTH is not remembered
   */
  noteAsked(ref: SessionRef, token: OwnerToken, id: string): Promise<{ readonly kind: 'saved' } | Refusal>;
  /** Forgets a backend session whose teardown is queued. `conflict`: another generation is saved, nothing was done. Idempotent. */
  dropBackendSession(
    ref: SessionRef,
    token: OwnerToken,
    backend: string,
    generation: number,
  ): Promise<{ readonly kind: 'dropped' } | { readonly kind: 'conflict' } | Refusal>;
  /**
   * Checks that the token is in force and that the record knows the same backend sessions (asked after reconnects), in one batch;
   * answers in the order asked. `outdated`: the token is in force, but an older backend session is saved, or none, or something else
   * stands.
   */
  verifySessions(entries: readonly HeldSession[]): Promise<readonly Verdict[]>;
  /**
   * Ends a session: state becomes `closing`, once. With a token only its holder may; without one anybody (owner and epoch stay).
   * `closed` carries the record for the jobs; `alreadyClosing` too, so that a repeat can go on with the next steps.
   */
  closeSession(
    ref: SessionRef,
    token: OwnerToken | undefined,
  ): Promise<
    | { readonly kind: 'closed' | 'alreadyClosing'; readonly record: SessionRecord }
    | { readonly kind: 'fenced' }
    | { readonly kind: 'missing' }
  >;
  /**
   * A dead owner's session that is `closing`: compare-and-set from exactly `from`, so that one worker alone goes on with it. The
   * caller has made sure that the lease is gone. `active`: nothing was done.
   */
  claimEnding(
    ref: SessionRef,
    from: OwnerToken,
    claimant: WorkerId,
  ): Promise<{ readonly kind: 'claimed'; readonly record: SessionRecord } | { readonly kind: 'fenced' | 'active' | 'missing' }>;
  /** After `closing` was set: puts it among those that end, so that the sweep finishes what a crash interrupts. */
  addEnding(ref: SessionRef, nowMs: number): Promise<void>;
  /**
   * The record (only if `closing`, else nothing happens) and then the indexes go. Also for a member without a record; where its
   * principal is unknown, '': that index forgets it by itself.
   */
  removeSession(ref: SessionRef, principal: string): Promise<void>;
  /** Undo of the reservations when a later step of opening was refused. */
  dropReservations(ref: SessionRef, principal: string): Promise<void>;
  /** Liveness, one ZADD XX GT for up to 1 000 of them: a session's idle time ends at `untilMs`. */
  touchSessions(entries: ReadonlyArray<{ readonly ref: SessionRef; readonly untilMs: number }>): Promise<void>;
  /** Sets the record's TTL anew (once a day by the owner), and that of its backend sessions in the index of open ids. */
  extendRecord(ref: SessionRef, token: OwnerToken, backends?: SessionRecord['backends']): Promise<void>;
  /** Who has the backend session of this digest open; undefined if nobody has. */
  findOpen(digest: string): Promise<OpenHolder | undefined>;
  /** It was ended, or given up: it leaves the index, unless another session or a later generation has it open. */
  forgetOpen(digest: string, holder: OpenHolder): Promise<void>;
  /** Members whose idle time ended before `nowMs`, oldest first. @param offset so many of the oldest are passed over; default 0 */
  listExpired(nowMs: number, limit: number, offset?: number): Promise<SessionRef[]>;
  /** When a member's idle time ends by the index; undefined: it is none. */
  readIdleEnd(ref: SessionRef): Promise<number | undefined>;
  /** Oldest first. @param offset so many of the oldest are passed over; default 0 */
  listEnding(limit: number, offset?: number): Promise<SessionRef[]>;
  /** One worker per interval and kind sweeps: true for the one that may. `forced` (a cap would refuse) does not wait for `regular`. */
  acquireSweep(workerId: WorkerId, intervalMs: number, kind?: 'regular' | 'forced'): Promise<boolean>;
  /** Members of a principal without a record are removed (before it is refused), unless reserved within the last minute. */
  prunePrincipal(principal: string): Promise<void>;
  countSessions(): Promise<number>;

  // --- leases ---------------------------------------------------------------------------------------------------------
  /** First lease of an incarnation (NX). @returns false if there already is one: never with a fresh incarnation. */
  openLease(lease: Lease, leaseMs: number): Promise<boolean>;
  /** `SET … XX PX`. @returns false if the key is gone: a lease that is gone never comes back. */
  renewLease(lease: Lease, leaseMs: number): Promise<boolean>;
  readLease(id: WorkerId): Promise<Lease | undefined>;
  /** Deletes the lease of exactly this incarnation. */
  removeLease(id: WorkerId): Promise<void>;
  /** Live workers, all pods. */
  listWorkers(): Promise<Lease[]>;

  // --- the data itself ------------------------------------------------------------------------------------------------
  /**
   * Reads `generation`; where it is missing or not the remembered one, creates or remembers it and sets `settling` for
   * `leaseMs`. @returns whether something settles now.
   */
  checkGeneration(leaseMs: number): Promise<'same' | 'settling'>;
  /**
   * Which data the directory speaks to: another value after a restart or a fail-over of Redis, undefined where that cannot be told
   * (then it has to be taken for another).
   */
  identifyData(): Promise<string | undefined>;
  /** Whether Redis was started less than `withinMs` ago with data that is older than that start. */
  wasJustLoaded(withinMs: number): Promise<boolean>;
}
