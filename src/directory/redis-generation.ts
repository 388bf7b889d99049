// Rule 9: tells "this session is gone" from "Redis has lost its data".
import { randomBytes } from 'node:crypto';
import type { Clock } from '../lifecycle/clock.js';
import type { DirectoryConnection } from './connection.js';
import { checkGeneration } from './scripts/check-generation.js';

export class RedisGeneration {
  /** What this worker has seen last; '' before the first check: then nothing can be called gone. */
  private remembered = '';

  constructor(
    private readonly connection: DirectoryConnection,
    private readonly clock: Clock,
  ) {}

  get known(): string {
    return this.remembered;
  }

  /** Wall time at which the remembered generation began, ms, by the clock of the worker that began it. */
  get createdMs(): number | undefined {
    const createdMs = Number(this.remembered.split('.')[1]);
    return Number.isSafeInteger(createdMs) && createdMs > 0 ? createdMs : undefined;
  }

  async check(leaseMs: number): Promise<'same' | 'settling'> {
    const { keys } = this.connection;
    const [now, settles] = await this.connection.script(
      checkGeneration,
      [keys.generation, keys.settling],
      [this.remembered, `${randomBytes(12).toString('base64url')}.${this.clock.wallMs()}`, leaseMs],
    );
    this.remembered = now;
    return settles === '1' ? 'settling' : 'same';
  }

  /**
   * Whether a record that was missing is truly gone.
   * @param known the generation that was remembered *before* the record was read. Race: the data is lost, the record is read,
   *   another request of this worker remembers the new generation, then this reads it: compared with the new one, the loss would
   *   look like a session that never was.
   */
  async confirmsGone(known: string): Promise<boolean> {
    const { keys } = this.connection;
    const [now, settling] = await this.connection.attempt((redis) => redis.mget(keys.generation, keys.settling));
    return known !== '' && now === known && settling === null;
  }
}
