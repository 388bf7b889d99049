// Carries the schedule out. Every fault that was really done is written down with its time, because what may fail is judged by it.
import { signalWorker } from './cluster.mjs';

const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

export class Faults {
  /** `{ kind, startMs, endMs, pod, pid, forMs }`, by start; endMs undefined while it lasts. */
  done = [];
  skipped = 0;
  /** Exit codes of drains. */
  drains = [];
  #parts;
  #running = new Set();
  #paused = new Set();
  #stopped = false;

  /** @param parts `{ ledger, redis, places, balancer, say, beforeWorker(pid), onFault }` */
  constructor(parts) {
    this.#parts = parts;
  }

  /** @returns when every fault was begun */
  async run(schedule) {
    const begunMs = this.#parts.ledger.now();
    for (const planned of schedule) {
      await sleep(Math.max(0, begunMs + planned.atMs - this.#parts.ledger.now()));
      if (this.#stopped) return;
      const running = this.#carryOut(planned).finally(() => this.#running.delete(running));
      this.#running.add(running);
    }
  }

  /** Begins no more, undoes what is undone, waits for the rest. */
  async stop() {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  /** For an end that does not wait. */
  resumeAll() {
    for (const pid of this.#paused) signalWorker(pid, 'SIGCONT');
    this.#parts.redis.resume();
  }

  async #carryOut(planned) {
    const { kind, pod } = planned;
    const place = this.#parts.places[pod];
    const isRedis = kind.startsWith('redis');
    if (isRedis ? !this.#parts.redis.isUp : !place.isUp) return this.#skip();
    const run = { kill: () => this.#kill(planned, place), pause: () => this.#pause(planned, place) };
    run.primary = run.pod = () => this.#killPod(planned, place);
    run.drain = () => this.#drain(planned, place);
    run['redis-pause'] = () => this.#pauseRedis(planned);
    run['redis-restart'] = () => this.#restartRedis(planned);
    await run[kind]();
  }

  #begin(planned, place, pids, text) {
    const { ledger, say, onFault } = this.#parts;
    const fault = { kind: planned.kind, startMs: ledger.now(), endMs: undefined, pod: place?.name, pids, forMs: planned.forMs };
    this.done.push(fault);
    say(`${(planned.burst ? 'burst: ' : '') + text}`);
    onFault(fault);
    return fault;
  }

  /** What it would have hit is down already. */
  #skip() {
    this.skipped += 1;
  }

  #end(fault) {
    fault.endMs = this.#parts.ledger.now();
  }

  async #kill(planned, place) {
    const workers = place.workers();
    const pid = workers[planned.worker % workers.length];
    if (pid === undefined) return this.#skip();
    const fault = this.#begin(planned, place, [pid], `kill -9 worker ${pid} of ${place.name}`);
    signalWorker(pid, 'SIGKILL');
    this.#end(fault);
  }

  async #pause(planned, place) {
    const workers = place.workers().filter((pid) => !this.#paused.has(pid));
    const pid = workers[planned.worker % workers.length];
    if (pid === undefined) return this.#skip();
    const fault = this.#begin(planned, place, [pid], `SIGSTOP worker ${pid} of ${place.name} for ${planned.forMs} ms`);
    signalWorker(pid, 'SIGSTOP');
    this.#paused.add(pid);
    await sleep(planned.forMs);
    this.#paused.delete(pid);
    signalWorker(pid, 'SIGCONT');
    this.#end(fault);
  }

  async #killPod(planned, place) {
    const workers = place.workers();
    const text = planned.kind === 'pod' ? 'every process' : `primary ${place.pid}`;
    const fault = this.#begin(planned, place, workers, `kill -9 ${text} of ${place.name}, again in ${planned.forMs} ms`);
    await place.kill(planned.kind);
    await sleep(planned.forMs);
    await this.#startAgain(place);
    this.#end(fault);
  }

  async #drain(planned, place) {
    const fault = this.#begin(planned, place, place.workers(), `SIGTERM ${place.name}`);
    this.#parts.balancer.takeOut(place);
    this.drains.push({ pod: place.name, ...(await place.drain()), tookMs: this.#parts.ledger.now() - fault.startMs });
    await this.#startAgain(place);
    this.#end(fault);
  }

  /** A pod whose Redis is away refuses to start; Kubernetes would start it again too. */
  async #startAgain(place) {
    for (;;) {
      try {
        return await place.start();
      } catch (error) {
        this.#parts.say(`${place.name} did not start: ${error.message}; once more`);
        await sleep(1000);
        if (this.#stopped && !this.#parts.redis.isUp) throw error;
      }
    }
  }

  async #pauseRedis(planned) {
    const { redis } = this.#parts;
    const fault = this.#begin(planned, undefined, [], `SIGSTOP Redis for ${planned.forMs} ms`);
    redis.pause();
    await sleep(planned.forMs);
    redis.resume();
    this.#end(fault);
  }

  async #restartRedis(planned) {
    const { redis } = this.#parts;
    const fault = this.#begin(planned, undefined, [], `kill -9 Redis, again in ${planned.forMs} ms`);
    await redis.crash();
    await sleep(planned.forMs);
    await redis.startAgain();
    this.#end(fault);
  }
}
