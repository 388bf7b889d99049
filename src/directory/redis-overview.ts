// The overview in Redis. It shares the ownership connection with renewals and claims, so what it asks at a time is bounded.
import { isSessionRef, type SessionRef, type WorkerId } from '../protocol/ids.js';
import type { RedisConnection } from '../redis/connect.js';
import { DirectoryConnection } from './connection.js';
import type { Lease } from './directory.js';
import { makeKeys } from './keys.js';
import type { ListedLease, ListedSession, ListPosition, Overview } from './overview.js';
import { decodeRecord } from './record.js';

/** Records asked for in one tick. */
const RECORDS = 100;
const MEMBERS = 500;

export class RedisOverview implements Overview {
  readonly #connection: DirectoryConnection;

  /** @param prefix `redis.prefix` */
  constructor(options: { readonly connection: RedisConnection; readonly prefix: string }) {
    this.#connection = new DirectoryConnection(options.connection, makeKeys(options.prefix), undefined);
  }

  async listSessions(after: ListPosition | undefined, limit: number): Promise<ListedSession[]> {
    const members = await this.#members(after, limit);
    const listed: ListedSession[] = [];
    for (let from = 0; from < members.length; from += RECORDS) {
      listed.push(...(await this.#withRecords(members.slice(from, from + RECORDS))));
    }
    return listed;
  }

  async readExpiry(ref: SessionRef): Promise<number | undefined> {
    const { keys } = this.#connection;
    const score = await this.#connection.attempt((redis) => redis.zscore(keys.expiry, ref));
    return score === null ? undefined : Number(score);
  }

  async listLeases(): Promise<ListedLease[]> {
    const { keys } = this.#connection;
    const ids = (await this.#connection.attempt((redis) => redis.zrange(keys.workers, '0', '-1'))) as WorkerId[];
    const found = await this.#connection.attempt((redis) =>
      Promise.all(
        ids.map(async (id) => {
          const [text, leftMs] = await Promise.all([redis.get(keys.lease(id)), redis.pttl(keys.lease(id))]);
          return text === null ? undefined : { lease: JSON.parse(text) as Lease, leftMs: Math.max(0, leftMs) };
        }),
      ),
    );
    return found.filter((lease) => lease !== undefined);
  }

  /** By score and, among equals, by name, as Redis orders them: both together are a place that nothing but use of the session moves. */
  async #members(after: ListPosition | undefined, limit: number): Promise<ListPosition[]> {
    const { keys } = this.#connection;
    const found: ListPosition[] = [];
    for (let offset = 0; ; offset += MEMBERS) {
      const flat = await this.#connection.attempt((redis) =>
        redis.zrangebyscore(keys.expiry, after?.untilMs ?? '-inf', '+inf', 'WITHSCORES', 'LIMIT', offset, MEMBERS),
      );
      for (let i = 0; i + 1 < flat.length; i += 2) {
        const [ref, untilMs] = [flat[i] as string, Number(flat[i + 1])];
        if (after && untilMs === after.untilMs && ref <= after.ref) continue;
        if (isSessionRef(ref)) found.push({ ref, untilMs });
        if (found.length === limit) return found;
      }
      if (flat.length < 2 * MEMBERS) return found;
    }
  }

  #withRecords(members: readonly ListPosition[]): Promise<ListedSession[]> {
    return this.#connection.attempt((redis) =>
      Promise.all(
        members.map(async (member): Promise<ListedSession> => {
          const fields = await redis.hgetall(this.#connection.keys.session(member.ref));
          return { ...member, record: decode(fields) };
        }),
      ),
    );
  }
}

/** One that cannot be read must not hide the others. */
function decode(fields: Record<string, string>): ListedSession['record'] {
  if (Object.keys(fields).length === 0) return undefined;
  try {
    return decodeRecord(Object.entries(fields).flat());
  } catch {
    return 'unreadable';
  }
}
