// The load: a closed loop of clients, each of which opens a session, works in it for tens of calls, and ends it with DELETE.
import { between, makeRandom, pickWeighted } from './random.mjs';
import { ClientSession } from './session.mjs';

const END_WITHIN_MS = 60_000;
const THINK_MS = [20, 140];
const AFTER_FAILURE_MS = [100, 400];
const STEPS = { echo: 45, counter: 20, together: 8, slow: 8, progress: 6, notify: 6, list: 7 };
/** Most bodies are small; some span many frames of a hop, a few need its credit. */
const SIZES = { 40: 60, 2000: 25, 70000: 12, 600000: 3 };
const LISTENS = 0.35;
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

export class Load {
  /** Sessions whose DELETE was never confirmed. */
  unended = 0;
  #parts;
  #random;
  #running = true;

  /** @param parts as for ClientSession; @param seed of sizes and orders */
  constructor(parts, seed) {
    this.#parts = parts;
    this.#random = makeRandom(seed);
  }

  /** @param servers one client for each name; @returns when `stop()` was called and every session has ended */
  async run(servers) {
    await Promise.all(servers.map((server) => this.#client(server)));
  }

  stop() {
    this.#running = false;
  }

  async #client(server) {
    while (this.#running) {
      const session = new ClientSession(server, this.#parts);
      if (!(await session.open())) {
        await this.#pause(AFTER_FAILURE_MS);
        continue;
      }
      const listening = this.#random() < LISTENS ? session.listen() : undefined;
      const steps = between(this.#random, 10, 80);
      for (let i = 0; i < steps && this.#running && !session.isGone; i += 1) {
        await this.#pause((await this.#step(session)) ? THINK_MS : AFTER_FAILURE_MS);
      }
      if (!(await session.end(END_WITHIN_MS))) this.unended += 1;
      await listening;
    }
  }

  async #step(session) {
    const random = this.#random;
    switch (pickWeighted(random, STEPS)) {
      case 'counter':
        return session.counter();
      case 'together': {
        const calls = [session.counter(), session.echo(this.#text()), session.counter(), session.echo(this.#text())];
        return (await Promise.all(calls)).every(Boolean);
      }
      case 'slow':
        return session.slow(Math.round(between(random, 500, 3000)));
      case 'progress':
        return session.progress(3, Math.round(between(random, 20, 300)));
      case 'notify':
        await session.notify('notifications/roots/list_changed');
        return true;
      case 'list':
        return session.list();
      default:
        return session.echo(this.#text());
    }
  }

  #text() {
    const size = Number(pickWeighted(this.#random, SIZES));
    const unit = `${this.#random().toString(36).slice(2)}é"\\\n`;
    return unit.repeat(Math.ceil(size / unit.length)).slice(0, size);
  }

  #pause([low, high]) {
    return sleep(between(this.#random, low, high));
  }
}
