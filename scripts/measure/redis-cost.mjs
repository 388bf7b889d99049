// What Redis itself says of its costs. Processor time of its main thread has reading and writing of sockets in it, the statistics of
// commands have not; what a script calls is in its own time and, again, in that of each command: the two must not be added.
import { Redis } from 'ioredis';

const number = (text, name) => Number(new RegExp(`^${name}:(\\S+)`, 'm').exec(text)?.[1] ?? Number.NaN);

export class RedisCost {
  #redis;

  constructor(url) {
    this.#redis = new Redis(url);
  }

  get redis() {
    return this.#redis;
  }

  close() {
    this.#redis.disconnect();
  }

  /** Bytes that its data take. */
  async usedBytes() {
    return number(await this.#redis.info('memory'), 'used_memory');
  }

  /** Processor time of its main thread so far, µs; of the whole process before Redis 7. */
  async cpuMicros() {
    const text = await this.#redis.info('cpu');
    const of = (kind) => {
      const main = number(text, `used_cpu_${kind}_main_thread`);
      return Number.isNaN(main) ? number(text, `used_cpu_${kind}`) : main;
    };
    return (of('user') + of('sys')) * 1e6;
  }

  /** Commands as they were sent, those inside scripts besides. */
  async processed() {
    return number(await this.#redis.info('stats'), 'total_commands_processed');
  }

  /** From now on: which commands hold up the others, longer than `ms`. */
  async watchSlow(ms) {
    await this.#redis.config('SET', 'slowlog-log-slower-than', Math.round(ms * 1000), 'slowlog-max-len', 1000);
    await this.#redis.slowlog('RESET');
  }

  /** @returns `{ command, count, maxMs }`, the longest first */
  async slow() {
    const byCommand = new Map();
    for (const [, , micros, [command]] of await this.#redis.slowlog('GET', 1000)) {
      const name = command.toLowerCase();
      const known = byCommand.get(name) ?? { command: name, count: 0, maxMs: 0 };
      known.count += 1;
      known.maxMs = Math.max(known.maxMs, micros / 1000);
      byCommand.set(name, known);
    }
    return [...byCommand.values()].sort((a, b) => b.maxMs - a.maxMs);
  }

  /** Mean bytes of keys that match, over a sample; and how many there are in the sample. */
  async bytesEach(keys) {
    const bytes = await Promise.all(keys.map((key) => this.#redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0')));
    const known = bytes.filter((one) => one !== null).map(Number);
    return known.reduce((sum, one) => sum + one, 0) / Math.max(1, known.length);
  }
}
