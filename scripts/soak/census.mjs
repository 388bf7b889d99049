// One look at everything that could grow: processes, Redis, backend.
import { Redis } from 'ioredis';
import { connectionsTo, openFiles, rssBytes } from '../bench/proc.mjs';
import { probeProcess } from '../bench/special.mjs';

/** Keys that are there whether or not there are sessions; how a backend fares is gone ten minutes after the last teardown. */
const OF_THE_CLUSTER = [
  /^(worker:.*|workers|sweep|sweep:forced|\{data\}:(generation|settling))$/,
  /^\{teardown\}:jobs:(meta|events|marker|id|stalled-check|pc)$/,
  /^teardown:\{pace:[A-Za-z0-9_-]+\}:(running|state)$/,
];
const KINDS = [
  [/:session$/, 'records'],
  [/^open:/, 'open backend sessions'],
  [/^\{teardown\}:jobs/, 'teardown'],
  [/./, 'other'],
];
const SCANNED = 1000;

export class Census {
  #redis;
  #parts;

  /** @param parts `{ redisUrl, prefix, places, probeDir, backendPort, countOpen }` */
  constructor(parts) {
    this.#parts = parts;
    this.#redis = new Redis(parts.redisUrl);
  }

  close() {
    this.#redis.disconnect();
  }

  /** @returns `{ name: { kind, value } }`, see LIMITS in verdict.mjs */
  async take() {
    const { places, probeDir, backendPort, countOpen } = this.#parts;
    const values = {};
    const set = (name, kind, value) => {
      values[name] = { kind, value };
    };
    for (const place of places) {
      const workers = place.workers().sort((a, b) => a - b);
      // By pid: one that was replaced is another series.
      for (const pid of [place.pid, ...workers]) {
        const name = `${place.name} ${pid === place.pid ? 'primary' : `worker ${workers.indexOf(pid) + 1} (${pid})`}`;
        const { bytes } = await probeProcess(pid, probeDir);
        set(`${name}: heap`, 'heap', bytes);
        set(`${name}: memory`, 'rss', rssBytes(pid));
        set(`${name}: open files`, 'files', openFiles(pid));
      }
    }
    const keys = await this.keys();
    for (const [, kind] of KINDS) set(`Redis: keys, ${kind}`, 'keys', keys.filter((key) => kindOf(key) === kind).length);
    const { prefix } = this.#parts;
    for (const index of ['expiry', 'ending'])
      set(`Redis: members of ${index}`, 'keys', await this.#redis.zcard(`${prefix}${index}`));
    set('Redis: memory', 'redis', await this.#info('memory', 'used_memory'));
    set('Redis: connections', 'clients', await this.#info('clients', 'connected_clients'));
    set('backend: sessions', 'sessions', await countOpen());
    set('backend: connections', 'connections', connectionsTo(backendPort));
    return values;
  }

  /** Names of all keys of sessions, without the prefix. */
  async keys() {
    const { prefix } = this.#parts;
    const found = new Set();
    let cursor = '0';
    do {
      const [next, keys] = await this.#redis.scan(cursor, 'COUNT', SCANNED);
      cursor = next;
      for (const key of keys) if (key.includes(prefix)) found.add(key.replace(prefix, ''));
    } while (cursor !== '0');
    return [...found].filter((key) => !OF_THE_CLUSTER.some((own) => own.test(key)));
  }

  async #info(section, name) {
    return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(await this.#redis.info(section))[1]);
  }
}

function kindOf(key) {
  return KINDS.find(([pattern]) => pattern.test(key))[1];
}
