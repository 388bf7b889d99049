// One simulated worker process: the real parts over a wire of its own, on a clock of its own, which can stop, drift and step.
import type { RedisConnection } from '../../../src/redis/connect.js';
import type { ForwardOutcome, Forwarder } from '../../../src/forward/forward.js';
import { pause } from '../../../src/lifecycle/clock.js';
import type { OwnerToken, SessionId } from '../../../src/protocol/ids.js';
import { REFUSED_HEADER, SESSION_HEADER } from '../../../src/protocol/mcp.js';
import { Execution } from '../../../src/routing/execute.js';
import { HoldRoom } from '../../../src/routing/hold-room.js';
import { makeProbe } from '../../../src/routing/probe.js';
import { SharedReads } from '../../../src/routing/shared-reads.js';
import type { Session } from '../../../src/sessions/session.js';
import type { ServeOutcome } from '../../../src/sessions/serve-session.js';
import type { Answer, Exchange, Hop } from '../../../src/streams/exchange.js';
import { newNote } from '../../../src/streams/exchange.js';
import { FakeClock } from '../../support/fake-clock.js';
import { ALICE, LEASE_MS, SERVER, TestWorker, type World } from '../sessions/world.js';
import type { RedisWorld } from './redis-world.js';
import { Wire } from './wire.js';

export const HOLD_MS = 10_000;

/** How the machine of a worker treats time. */
export interface Machine {
  /** Seconds of its clocks per second; slower than 5/6 would break the margin. */
  readonly rate: number;
  /** A pause stops the monotonic clock too (a suspended VM), or only the process (SIGSTOP). */
  readonly suspends: boolean;
}

export interface Cluster {
  /** By the socket that its lease names. */
  findBySocket(socket: string): SimWorker | undefined;
}

export class SimWorker {
  readonly clock = new FakeClock();
  readonly wire: Wire;
  readonly parts: TestWorker;
  readonly execution: Execution;
  state: 'running' | 'paused' | 'dead' = 'running';
  #missedMs = 0;
  #woken: Array<() => void> = [];
  #missed: Array<() => void> = [];

  constructor(
    readonly name: string,
    readonly machine: Machine,
    redis: RedisWorld,
    private readonly cluster: Cluster,
  ) {
    this.wire = new Wire(redis.run);
    const { clock } = this;
    const world = {
      ...{ clock, redis: this.wire.connection as RedisConnection, prefix: redis.prefix, keys: redis.keys },
      // Living owners are told over hops that are not simulated: they are silent.
      workers: [],
      get data() {
        return `data ${redis.data}`;
      },
    };
    this.parts = new TestWorker(world as unknown as World, name, {});
    const { table, owners, directory, keeper, takeOver, teller } = this.parts;
    this.execution = new Execution({
      ...{ table, owners, keeper, clock, teller },
      directory: new SharedReads(directory),
      hold: new HoldRoom(clock, makeProbe({ directory, keeper, leaseMs: LEASE_MS })),
      forwarder: this.#forwarder(),
      holdMs: HOLD_MS,
      serve: (session, exchange) => this.#serve(session, exchange),
      open: () => Promise.resolve('unavailable'),
      takeOver: (id, from, record) => takeOver.takeOver(id, from, record),
      end: () => Promise.reject(new Error('nobody is told')),
      status: () => undefined,
      metrics: { held: () => undefined, forwarded: () => undefined },
      log: () => undefined,
      audit: () => undefined,
      warn: () => undefined,
    });
  }

  get socket(): string {
    return `/tmp/${this.name}.sock`;
  }

  get isRunning(): boolean {
    return this.state === 'running';
  }

  /** As cluster/worker.ts starts. */
  async boot(): Promise<void> {
    let away = false;
    while (!(await this.parts.directory.checkGeneration(LEASE_MS).catch(() => undefined))) {
      away = true;
      await pause(this.clock, LEASE_MS / 12);
    }
    await this.parts.reconnect.start(false);
    await this.parts.keeper.start(away);
  }

  advance(ms: number): void {
    if (this.state === 'running') this.clock.advance(ms * this.machine.rate);
    else this.#missedMs += ms * this.machine.rate;
  }

  pause(): void {
    if (this.state === 'running') this.state = 'paused';
  }

  resume(): void {
    if (this.state !== 'paused') return;
    this.state = 'running';
    if (this.machine.suspends) this.clock.stepWall(this.#missedMs);
    else this.clock.jump(this.#missedMs);
    this.#missedMs = 0;
    for (const happened of this.#missed.splice(0)) happened();
    for (const wake of this.#woken.splice(0)) wake();
  }

  disconnect(late = false): void {
    if (!this.wire.isUp) return;
    const tell = this.wire.break(late);
    this.#happens(() => {
      tell();
      this.parts.reconnect.lost();
    });
  }

  connect(): void {
    if (this.wire.isUp || this.state === 'dead') return;
    this.wire.isUp = true;
    this.#happens(() => this.parts.reconnect.back());
  }

  /** A stopped process hears of it when it runs again. */
  #happens(event: () => void): void {
    if (this.state === 'paused') this.#missed.push(event);
    else event();
  }

  /** Never runs again. What waits for it hears of it. */
  crash(): void {
    this.state = 'dead';
    for (const wake of this.#woken.splice(0)) wake();
    this.wire.break(true);
  }

  /** A request as the edge hands it in. @returns the status of the answer */
  request(id: SessionId, method: 'POST' | 'DELETE' = 'POST', hop?: Hop): Promise<SimAnswer> {
    return new Promise((resolve) => void this.execution.execute(this.#exchange(id, method, hop, resolve)));
  }

  /** A stopped process goes on with nothing; a dead one never. */
  async #running(): Promise<boolean> {
    while (this.state === 'paused') await new Promise<void>((resolve) => this.#woken.push(resolve));
    return this.state === 'running';
  }

  async #serve(session: Session, exchange: Exchange): Promise<ServeOutcome> {
    if (session.state === 'ended') {
      exchange.answer.send(404, {});
      return 'done';
    }
    if (!session.mayAct()) return 'notOwner';
    if (exchange.method === 'DELETE' && (await this.parts.ender.end(session, 'deleted')) === 'fenced') return 'notOwner';
    exchange.answer.send(200, {});
    return 'done';
  }

  #forwarder(): Forwarder {
    return {
      close: async () => undefined,
      cut: () => undefined,
      forward: async (exchange, to, hop): Promise<ForwardOutcome> => {
        const target = this.cluster.findBySocket(to.unixSocket);
        if (!target || !(await target.#running())) return { kind: 'notBegun', reason: 'refused' };
        const method = exchange.method === 'DELETE' ? 'DELETE' : 'POST';
        const answer = await target.request(exchange.headers[SESSION_HEADER] as SessionId, method, hop);
        // The answer waits in a buffer while this process stands still.
        if (!(await this.#running())) return new Promise(() => undefined);
        if (answer.status === 421) return { kind: 'notOwner', token: answer.token };
        exchange.answer.send(answer.status, {});
        return { kind: 'answered', status: answer.status };
      },
    };
  }

  #exchange(id: SessionId, method: 'POST' | 'DELETE', hop: Hop | undefined, done: (answer: SimAnswer) => void): Exchange {
    const message = { jsonrpc: '2.0' as const, id: 1, method: 'tools/call' };
    const body = method === 'POST' ? { kind: 'request' as const, message, bytes: Buffer.alloc(1) } : undefined;
    const now = this.clock.monotonicMs();
    return {
      ...{ method, serverId: SERVER.id, body, principal: ALICE, hop, startedMs: now, deadlineMs: now + 300_000 },
      headers: { [SESSION_HEADER]: id },
      answer: makeAnswer(done),
      note: newNote(method, body),
      aborted: false,
      onAbort: () => undefined,
    };
  }
}

export interface SimAnswer {
  readonly status: number;
  readonly token: OwnerToken | undefined;
}

function makeAnswer(done: (answer: SimAnswer) => void): Answer {
  const unused = () => {
    throw new Error('no simulated answer is streamed');
  };
  return {
    started: false,
    finished: false,
    send(status, headers) {
      const [owner, epoch] = (headers[REFUSED_HEADER] ?? '').split(' ');
      done({ status, token: epoch ? ({ owner, epoch: Number(epoch) } as OwnerToken) : undefined });
    },
    ...{ start: unused, write: unused, end: unused, destroy: unused, onDrain: unused },
  };
}
