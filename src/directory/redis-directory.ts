// The directory in Redis (single, Sentinel or Cluster). Only joins its parts: records, indexes, leases, generation.
import { type Clock, systemClock } from '../lifecycle/clock.js';
import type { OwnerToken, SessionRef, WorkerId } from '../protocol/ids.js';
import type { RedisConnection } from '../redis/connect.js';
import { DirectoryConnection, type WaitReplicas } from './connection.js';
import type {
  BackendSessionRecord,
  Directory,
  HeldSession,
  Lease,
  NewSessionRecord,
  OpenHolder,
  ReadOutcome,
  SavedNames,
  SessionRecord,
} from './directory.js';
import { makeKeys } from './keys.js';
import { identifyServer } from '../redis/identity.js';
import { RedisGeneration } from './redis-generation.js';
import { RedisIndexes } from './redis-indexes.js';
import { RedisLeases } from './redis-leases.js';
import { RedisOpenIds } from './redis-open-ids.js';
import { RedisSessions } from './redis-sessions.js';

const DAY_MS = 86_400_000;
/** Redis tells its uptime in whole seconds. */
const UPTIME_PRECISION_MS = 1000;

export interface RedisDirectoryOptions {
  /** An ownership connection: it must re-send nothing by itself. */
  readonly connection: RedisConnection;
  /** `redis.prefix`; default `berth:`. */
  readonly prefix?: string;
  /** `sessions.idleTimeout` in ms: records live a day longer. */
  readonly idleTimeoutMs: number;
  readonly clock?: Clock;
  /** `redis.waitReplicas` (not with Cluster); default: nothing is waited for. */
  readonly waitReplicas?: WaitReplicas;
}

export class RedisDirectory implements Directory {
  private readonly sessions: RedisSessions;
  private readonly indexes: RedisIndexes;
  private readonly openIds: RedisOpenIds;
  private readonly leases: RedisLeases;
  private readonly generation: RedisGeneration;
  private readonly connection: DirectoryConnection;
  private readonly clock: Clock;

  constructor(options: RedisDirectoryOptions) {
    const clock = options.clock ?? systemClock;
    this.clock = clock;
    const ttlMs = Math.round(options.idleTimeoutMs) + DAY_MS;
    const connection = new DirectoryConnection(options.connection, makeKeys(options.prefix ?? 'berth:'), options.waitReplicas);
    this.connection = connection;
    this.sessions = new RedisSessions(connection, ttlMs);
    this.openIds = new RedisOpenIds(connection, ttlMs);
    this.indexes = new RedisIndexes(connection, ttlMs, clock);
    this.leases = new RedisLeases(connection, clock);
    this.generation = new RedisGeneration(connection, clock);
  }

  reserveTotal(ref: SessionRef, untilMs: number, cap: number) {
    return this.indexes.reserveTotal(ref, untilMs, cap);
  }

  reservePrincipal(principal: string, ref: SessionRef, cap: number) {
    return this.indexes.reservePrincipal(principal, ref, cap);
  }

  async createSession(ref: SessionRef, record: NewSessionRecord, nonce: string, replaceLower = false) {
    const outcome = await this.sessions.create(ref, record, nonce, replaceLower);
    // Written anew after a loss of data: what it has open goes back into the index before it is served again.
    if (outcome === 'created' && record.state !== 'closing') await this.openIds.hold(ref, record.backends);
    return outcome;
  }

  /** One command where there is a record; the generation is asked for only after a miss, in an order nothing can turn round. */
  async readSession(ref: SessionRef): Promise<ReadOutcome> {
    const { known } = this.generation;
    const record = await this.sessions.read(ref);
    if (record) return { kind: 'found', record };
    return { kind: (await this.generation.confirmsGone(known)) ? 'gone' : 'settling' };
  }

  async claimSession(ref: SessionRef, from: OwnerToken, claimant: WorkerId, nonce: string, above = 0) {
    const outcome = await this.sessions.claim(ref, from, claimant, nonce, above);
    // Its TTL began anew with the record's. Not awaited: the entry is there, unless data were lost.
    if (outcome.kind === 'claimed') this.connection.quietly(() => this.openIds.hold(ref, outcome.record.backends));
    return outcome;
  }

  releaseSession(ref: SessionRef, token: OwnerToken) {
    return this.sessions.release(ref, token);
  }

  async saveBackendSession(
    ref: SessionRef,
    token: OwnerToken,
    backend: string,
    previousGeneration: number,
    value: BackendSessionRecord,
  ) {
    const saved = this.sessions.saveBackend(ref, token, backend, previousGeneration, value);
    if (value.generation === previousGeneration) return saved;
    const [outcome] = await Promise.all([saved, this.openIds.add(ref, value)]);
    return outcome;
  }

  saveNames(ref: SessionRef, token: OwnerToken, names: SavedNames) {
    return this.sessions.saveNames(ref, token, names);
  }

  saveStanding(ref: SessionRef, token: OwnerToken, standing: string) {
    return this.sessions.saveStanding(ref, token, standing);
  }

  noteAnswered(ref: SessionRef, token: OwnerToken, mark: string) {
    return this.sessions.noteAnswered(ref, token, mark);
  }

  noteAsked(ref: SessionRef, token: OwnerToken, id: string) {
    return this.sessions.noteAsked(ref, token, id);
  }

  dropBackendSession(ref: SessionRef, token: OwnerToken, backend: string, generation: number) {
    return this.sessions.dropBackend(ref, token, backend, generation);
  }

  verifySessions(entries: readonly HeldSession[]) {
    return this.sessions.verify(entries);
  }

  closeSession(ref: SessionRef, token: OwnerToken | undefined) {
    const closed = this.sessions.close(ref, token);
    // Sent with it: a worker that dies before the answer comes (Redis stalls, and carries both out later) would leave a session that
    // ends and that no sweep finds. Of one that was not closed after all, the member is harmless.
    this.connection.quietly(() => this.indexes.addEnding(ref, this.clock.wallMs()));
    return closed;
  }

  claimEnding(ref: SessionRef, from: OwnerToken, claimant: WorkerId) {
    return this.sessions.claimEnding(ref, from, claimant);
  }

  addEnding(ref: SessionRef, nowMs: number) {
    return this.indexes.addEnding(ref, nowMs);
  }

  async removeSession(ref: SessionRef, principal: string): Promise<void> {
    if (await this.sessions.remove(ref)) await this.indexes.drop(ref, principal);
  }

  dropReservations(ref: SessionRef, principal: string) {
    return this.indexes.dropReservations(ref, principal);
  }

  touchSessions(entries: ReadonlyArray<{ readonly ref: SessionRef; readonly untilMs: number }>) {
    return this.indexes.touch(entries);
  }

  async extendRecord(ref: SessionRef, token: OwnerToken, backends: SessionRecord['backends'] = {}) {
    await Promise.all([this.sessions.extend(ref, token), this.openIds.hold(ref, backends)]);
  }

  findOpen(digest: string) {
    return this.openIds.find(digest);
  }

  forgetOpen(digest: string, holder: OpenHolder) {
    return this.openIds.forget(digest, holder);
  }

  listExpired(nowMs: number, limit: number, offset = 0) {
    return this.indexes.listExpired(nowMs, limit, offset);
  }

  readIdleEnd(ref: SessionRef) {
    return this.indexes.readIdleEnd(ref);
  }

  listEnding(limit: number, offset = 0) {
    return this.indexes.listEnding(limit, offset);
  }

  acquireSweep(workerId: WorkerId, intervalMs: number, kind: 'regular' | 'forced' = 'regular') {
    return this.indexes.acquireSweep(workerId, intervalMs, kind);
  }

  async prunePrincipal(principal: string): Promise<void> {
    const members = await this.indexes.listSettledMembers(principal);
    await this.indexes.removeMembers(principal, await this.sessions.findMissing(members));
  }

  countSessions() {
    return this.indexes.count();
  }

  openLease(lease: Lease, leaseMs: number) {
    return this.leases.open(lease, leaseMs);
  }

  renewLease(lease: Lease, leaseMs: number) {
    return this.leases.renew(lease, leaseMs);
  }

  readLease(id: WorkerId) {
    return this.leases.read(id);
  }

  removeLease(id: WorkerId) {
    return this.leases.remove(id);
  }

  listWorkers() {
    return this.leases.list();
  }

  checkGeneration(leaseMs: number) {
    return this.generation.check(leaseMs);
  }

  async identifyData() {
    return (await this.connection.attempt(identifyServer)).id;
  }

  async wasJustLoaded(withinMs: number) {
    const { uptimeMs } = await this.connection.attempt(identifyServer);
    if (uptimeMs === undefined || uptimeMs > withinMs) return false;
    const { createdMs } = this.generation;
    return createdMs !== undefined && createdMs < this.clock.wallMs() - uptimeMs - UPTIME_PRECISION_MS;
  }
}
