// The index of open backend sessions. Backends recycle ids: before teardown ends one it asks here whether it is somebody's again.
import type { SessionRef } from '../protocol/ids.js';
import type { DirectoryConnection } from './connection.js';
import type { BackendSessionRecord, OpenHolder, SessionRecord } from './directory.js';
import { forgetOpen } from './scripts/forget-open.js';
import { holdOpen } from './scripts/hold-open.js';

export class RedisOpenIds {
  constructor(
    private readonly connection: DirectoryConnection,
    /** As that of records, in ms. */
    private readonly ttlMs: number,
  ) {}

  /** The backend has just issued it: whoever had it before has it no more. Nothing is written for one without an id. */
  async add(ref: SessionRef, { digest, generation }: BackendSessionRecord): Promise<void> {
    if (digest === undefined) return;
    const key = this.connection.keys.open(digest);
    await this.connection.attempt((redis) => redis.set(key, `${ref} ${generation}`, 'PX', this.ttlMs));
  }

  /** Of a session that lives on. */
  async hold(ref: SessionRef, backends: SessionRecord['backends']): Promise<void> {
    await Promise.all(
      Object.values(backends).map(async ({ digest, generation }) => {
        if (digest === undefined) return;
        await this.connection.script(holdOpen, [this.connection.keys.open(digest)], [ref, generation, this.ttlMs]);
      }),
    );
  }

  async find(digest: string): Promise<OpenHolder | undefined> {
    const text = await this.connection.attempt((redis) => redis.get(this.connection.keys.open(digest)));
    const [ref, generation] = text?.split(' ') ?? [];
    return ref ? { ref: ref as SessionRef, generation: Number(generation) } : undefined;
  }

  async forget(digest: string, { ref, generation }: OpenHolder): Promise<void> {
    await this.connection.script(forgetOpen, [this.connection.keys.open(digest)], [ref, generation]);
  }
}
