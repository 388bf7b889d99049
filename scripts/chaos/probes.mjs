// How long a session is not served when its owner is hit: sessions that are called all the time, whose owners are known.
import { Redis } from 'ioredis';
import { createHash } from 'node:crypto';
import { ClientSession } from './session.mjs';

const CALL_EVERY_MS = 40;
const LOOK_EVERY_MS = 400;
/** A new session now and then: else all of them gather on the worker that was never hit. */
const RENEW_MS = [8000, 16_000];
const SAME_FAULT_MS = 30_000;
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

export class Probes {
  /** `{ kind, startMs, ms }`: from a fault of the owner to the first good answer to a call that began after it. */
  times = [];
  #parts;
  #prefix;
  #redis;
  #probes = [];
  #running = true;

  /** @param parts `{ session parts of ClientSession, redisUrl, prefix }` */
  constructor(parts) {
    this.#parts = parts.session;
    this.#prefix = parts.prefix;
    this.#redis = new Redis(parts.redisUrl, { commandTimeout: 2000, maxRetriesPerRequest: 0 });
    this.#redis.on('error', () => undefined);
  }

  async run(count) {
    this.#probes = Array.from({ length: count }, () => ({ session: undefined, owner: undefined, waiting: [] }));
    await Promise.all([this.#watchOwners(), ...this.#probes.map((probe, i) => this.#probe(probe, i))]);
    this.#redis.disconnect();
  }

  stop() {
    this.#running = false;
  }

  onFault({ kind, startMs, pids }) {
    for (const probe of this.#probes) {
      if (probe.session && pids.includes(probe.owner)) probe.waiting.push({ kind, startMs });
    }
  }

  async #probe(probe, i) {
    const { ledger } = this.#parts;
    while (this.#running) {
      const session = new ClientSession('http', this.#parts);
      if (!(await session.open())) {
        await sleep(CALL_EVERY_MS);
        continue;
      }
      Object.assign(probe, { session, owner: undefined, waiting: [] });
      const renewMs = ledger.now() + RENEW_MS[0] + ((i * 997) % (RENEW_MS[1] - RENEW_MS[0]));
      // Not renewed while it waits: that would hide the longest waits.
      while (this.#running && !session.isGone && (ledger.now() < renewMs || probe.waiting.length > 0)) {
        const begunMs = ledger.now();
        if (await session.echo('probe')) this.#note(probe, begunMs);
        await sleep(CALL_EVERY_MS);
      }
      probe.session = undefined;
      await session.end(60_000);
    }
  }

  #note(probe, begunMs) {
    const now = this.#parts.ledger.now();
    for (const { kind, startMs } of probe.waiting.filter((wait) => wait.startMs <= begunMs)) {
      if (now - startMs < SAME_FAULT_MS) this.times.push({ kind, startMs, ms: now - startMs });
    }
    probe.waiting = probe.waiting.filter((wait) => wait.startMs > begunMs);
  }

  async #watchOwners() {
    while (this.#running) {
      await Promise.all(this.#probes.map((probe) => this.#look(probe)));
      await sleep(LOOK_EVERY_MS);
    }
  }

  async #look(probe) {
    const { session } = probe;
    if (!session?.id) return;
    const ref = createHash('sha256').update(session.id).digest('base64url').slice(0, 22);
    try {
      const owner = await this.#redis.hget(`${this.#prefix}{${ref}}:session`, 'owner');
      const lease = owner && (await this.#redis.get(`${this.#prefix}worker:${owner}`));
      if (lease && probe.session === session) probe.owner = JSON.parse(lease).pid;
    } catch {
      // Redis is away: who owned it last is as good as known.
    }
  }
}
