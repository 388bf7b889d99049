// Sorted sets over the sessions: members, never counters, so that a step that is repeated or lost cannot make them wrong for ever.
import type { Clock } from '../lifecycle/clock.js';
import type { SessionRef, WorkerId } from '../protocol/ids.js';
import type { DirectoryConnection } from './connection.js';
import { reservePlace } from './scripts/reserve-place.js';

/** Members in one command: more would hold up the renewals of others, and a call takes only so many arguments. */
const TOUCHED_AT_ONCE = 1000;
/** A reservation this young may belong to a session that is being opened: its record comes after it. In ms. */
const OPENING_MS = 60_000;

export class RedisIndexes {
  constructor(
    private readonly connection: DirectoryConnection,
    private readonly ttlMs: number,
    private readonly clock: Clock,
  ) {}

  async reserveTotal(ref: SessionRef, untilMs: number, cap: number): Promise<'reserved' | 'full'> {
    // Without a TTL: the sweep empties it, member by member.
    return this.reserve(this.connection.keys.expiry, ref, untilMs, cap, 0);
  }

  async reservePrincipal(principal: string, ref: SessionRef, cap: number): Promise<'reserved' | 'full'> {
    return this.reserve(this.connection.keys.principal(principal), ref, this.clock.wallMs(), cap, this.ttlMs);
  }

  private async reserve(key: string, ref: SessionRef, score: number, cap: number, ttlMs: number): Promise<'reserved' | 'full'> {
    const [kind] = await this.connection.script(reservePlace, [key], [ref, score, cap, ttlMs]);
    return kind === 'reserved' ? 'reserved' : 'full';
  }

  /** GT: a late batch never shortens; XX: what was removed meanwhile stays removed. */
  async touch(entries: ReadonlyArray<{ readonly ref: SessionRef; readonly untilMs: number }>): Promise<void> {
    for (let from = 0; from < entries.length; from += TOUCHED_AT_ONCE) {
      const scored = entries.slice(from, from + TOUCHED_AT_ONCE).flatMap(({ ref, untilMs }) => [String(untilMs), ref]);
      await this.connection.attempt((redis) => redis.zadd(this.connection.keys.expiry, 'XX', 'GT', ...scored));
    }
  }

  /** Races: the one who adds first counts (NX), so that a repeat does not make an old ending young. */
  async addEnding(ref: SessionRef, nowMs: number): Promise<void> {
    await this.connection.attempt((redis) => redis.zadd(this.connection.keys.ending, 'NX', nowMs, ref));
  }

  /** `ending` goes last: a crash in between leaves the session to the sweep. */
  async drop(ref: SessionRef, principal: string): Promise<void> {
    await this.dropReservations(ref, principal);
    await this.connection.attempt((redis) => redis.zrem(this.connection.keys.ending, ref));
  }

  async dropReservations(ref: SessionRef, principal: string): Promise<void> {
    const { keys } = this.connection;
    await this.connection.attempt((redis) =>
      Promise.all([redis.zrem(keys.expiry, ref), ...(principal ? [redis.zrem(keys.principal(principal), ref)] : [])]),
    );
  }

  /** Members of a principal that are old enough to have a record, if their sessions were opened. */
  async listSettledMembers(principal: string): Promise<SessionRef[]> {
    const before = this.clock.wallMs() - OPENING_MS;
    return this.list((redis) => redis.zrangebyscore(this.connection.keys.principal(principal), '-inf', before));
  }

  async removeMembers(principal: string, refs: readonly SessionRef[]): Promise<void> {
    if (refs.length === 0) return;
    await this.connection.attempt((redis) => redis.zrem(this.connection.keys.principal(principal), ...refs));
  }

  async listExpired(nowMs: number, limit: number, offset: number): Promise<SessionRef[]> {
    return this.list((redis) => redis.zrangebyscore(this.connection.keys.expiry, '-inf', `(${nowMs}`, 'LIMIT', offset, limit));
  }

  async readIdleEnd(ref: SessionRef): Promise<number | undefined> {
    const score = await this.connection.attempt((redis) => redis.zscore(this.connection.keys.expiry, ref));
    return score === null ? undefined : Number(score);
  }

  async listEnding(limit: number, offset: number): Promise<SessionRef[]> {
    return this.list((redis) => redis.zrange(this.connection.keys.ending, String(offset), String(offset + limit - 1)));
  }

  async count(): Promise<number> {
    return this.connection.attempt((redis) => redis.zcard(this.connection.keys.expiry));
  }

  async acquireSweep(workerId: WorkerId, intervalMs: number, kind: 'regular' | 'forced'): Promise<boolean> {
    const { sweep, forcedSweep } = this.connection.keys;
    const key = kind === 'forced' ? forcedSweep : sweep;
    return this.connection.attempt(async (redis) => (await redis.set(key, workerId, 'PX', intervalMs, 'NX')) === 'OK');
  }

  private async list(run: (redis: DirectoryConnection['redis']) => Promise<string[]>): Promise<SessionRef[]> {
    return (await this.connection.attempt(run)) as SessionRef[];
  }
}
