// A cluster of simulated workers on one real Redis: carries out steps one by one, lets what is free to move move, and asks the oracle
// after each whether all still holds.
import type { Redis } from 'ioredis';
import { LEASE_MS } from '../sessions/world.js';
import { Oracle, type OracleOptions } from './oracle.js';
import { RedisWorld, type RedisWorldOptions } from './redis-world.js';
import { HOLD_MS, type Machine, SimWorker } from './sim-worker.js';
import type { Step } from './steps.js';

/** Time passes in pieces no longer than this: what the workers do at once, they do within one piece. */
const PIECE_MS = LEASE_MS / 24;

export interface SimulationOptions extends RedisWorldOptions, OracleOptions {
  /** A planted bug: done to each worker before it starts. */
  readonly spoil?: (worker: SimWorker) => void;
}

export class Simulation {
  readonly oracle: Oracle;
  #workers: SimWorker[] = [];
  #started = 0;

  private constructor(
    readonly redis: RedisWorld,
    private readonly options: SimulationOptions,
  ) {
    this.oracle = new Oracle(redis, options);
  }

  /** Runs the steps, then lets faults end and asks whether all recovers. @throws Error with what does not hold */
  static async run(
    redis: Redis,
    machines: readonly Machine[],
    steps: readonly Step[],
    options: SimulationOptions = {},
  ): Promise<void> {
    const simulation = new Simulation(await RedisWorld.open(redis, options), options);
    for (const machine of machines) simulation.#start(machine);
    await simulation.#flow();
    for (const step of steps) {
      options.trace?.(JSON.stringify(step));
      await simulation.#carryOut(step);
      await simulation.#flow();
    }
    await simulation.#recover();
  }

  async #carryOut(step: Step): Promise<void> {
    const worker = 'worker' in step ? this.#workers[step.worker % this.#workers.length] : undefined;
    const session = 'session' in step ? this.oracle.session(step.session) : undefined;
    if (step.do === 'pass') return this.#pass(step.ms);
    if (step.do === 'remember') return this.redis.remember();
    if (step.do === 'flush') return this.redis.flush();
    if (step.do === 'failOver') {
      const connected = this.#workers.filter(({ wire }) => wire.isUp);
      for (const one of connected) one.disconnect();
      await this.redis.failOver();
      for (const one of connected) one.connect();
      return;
    }
    if (step.do === 'expire') {
      if (session) await this.redis.redis.zadd(this.redis.keys.expiry, 'XX', 1, session.ref);
      if (session) session.mayEnd = true;
      return;
    }
    if (!worker) return;
    if (step.do === 'start') {
      if (worker.state === 'dead') this.#start(worker.machine, worker);
      return;
    }
    if (step.do === 'connect') worker.connect();
    else if (step.do === 'resume') worker.resume();
    else if (step.do === 'crash' || step.do === 'kill') {
      worker.crash();
      // Its primary saw it die; or the pod went with it, and the lease has to run out.
      if (step.do === 'crash') await this.redis.redis.del(this.redis.keys.lease(worker.parts.keeper.id));
    } else if (step.do === 'break') worker.disconnect(step.stray);
    else if (step.do === 'stray') await worker.wire.strays.shift()?.();
    else if (step.do === 'lose') worker.wire.lose(step.after, step.loss);
    else if (step.do === 'hold') worker.wire.held = true;
    else if (step.do === 'free') worker.wire.held = false;
    else if (step.do === 'run') for (let i = 0; i < step.count; i++) await worker.wire.runOne();
    else if (worker.isRunning) await this.#carryOutRunning(step, worker, session);
  }

  async #carryOutRunning(step: Step, worker: SimWorker, session: ReturnType<Oracle['session']>): Promise<void> {
    const { parts } = worker;
    if (step.do === 'answer') for (let i = 0; i < step.count; i++) worker.wire.deliverOne();
    else if (step.do === 'timeOut') worker.wire.timeOut();
    else if (step.do === 'pause') worker.pause();
    else if (step.do === 'stepWall') {
      // A suspended machine whose wall clock is stepped back as well is beyond the guarantee (DESIGN 3, assumptions).
      if (step.ms > 0 || !worker.machine.suspends) worker.clock.stepWall(step.ms);
    } else if (step.do === 'sweep') void parts.sweep.makeRoom();
    else if (step.do === 'drain') void this.#drain(worker);
    else if (step.do === 'open') {
      if (this.oracle.sessionCount < 2)
        void parts.open().then(
          (opened) => this.oracle.opened(opened),
          () => undefined,
        );
    } else if (session && step.do === 'request') void this.#request(worker, session, 'POST');
    else if (session && step.do === 'delete') {
      session.mayEnd = true;
      void this.#request(worker, session, 'DELETE');
    }
  }

  async #request(
    worker: SimWorker,
    session: NonNullable<ReturnType<Oracle['session']>>,
    method: 'POST' | 'DELETE',
  ): Promise<number> {
    const { status } = await worker.request(session.id, method);
    this.options.trace?.(`${worker.name} answers ${method} ${session.ref}: ${status}`);
    this.oracle.answered(session, status);
    return status;
  }

  async #drain(worker: SimWorker): Promise<void> {
    await worker.parts.keeper.setDraining();
    await worker.parts.drain.run(LEASE_MS / 3);
    await worker.parts.keeper.stop();
    worker.crash();
  }

  #start(machine: Machine, instead?: SimWorker): void {
    const worker: SimWorker = new SimWorker(`w${++this.#started}`, machine, this.redis, {
      findBySocket: (socket) => this.#workers.find((one) => one.socket === socket),
    });
    this.options.spoil?.(worker);
    this.#workers = instead ? this.#workers.map((one) => (one === instead ? worker : one)) : [...this.#workers, worker];
    void worker.boot();
  }

  async #pass(ms: number, atMostMs = PIECE_MS): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= atMostMs) {
      const pieceMs = Math.min(leftMs, atMostMs);
      for (const worker of this.#workers) worker.advance(pieceMs);
      await this.redis.advance(pieceMs);
      await this.#flow();
    }
  }

  /** Everything that is free to move moves, one command at a time, worker by worker. */
  async #flow(): Promise<void> {
    await settle();
    for (let moved = true; moved; ) {
      moved = false;
      for (const worker of this.#workers) {
        const { wire } = worker;
        if (wire.held || !wire.isUp) continue;
        if (wire.waitsToRun > 0) {
          await wire.runOne();
          moved = true;
        }
        if (wire.waitsToArrive > 0 && worker.isRunning) {
          wire.deliverOne();
          moved = true;
        }
        await settle();
      }
    }
    await this.oracle.check(this.#workers);
  }

  /** Liveness: when faults have ended, every session that was not ended is served, and by one worker. */
  async #recover(): Promise<void> {
    for (const worker of this.#workers) {
      worker.wire.strays.splice(0);
      if (worker.state === 'dead') this.#start(worker.machine, worker);
      worker.resume();
      worker.wire.held = false;
      worker.connect();
    }
    await this.#flow();
    await this.#pass(4 * LEASE_MS, 2 * PIECE_MS);
    for (const session of this.oracle.sessions) {
      for (const worker of this.#workers.filter((one) => one.isRunning)) {
        let status = 0;
        void this.#request(worker, session, 'POST').then((answered) => {
          status = answered;
        });
        for (let waitedMs = 0; status === 0 && waitedMs < 2 * HOLD_MS; waitedMs += 200) await this.#pass(200);
        this.oracle.recovered(session, status);
      }
    }
  }
}

/** All that follows from what was delivered has happened: workers wait for wires and clocks only, and both stand still. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
