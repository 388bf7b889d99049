// Workers without HTTP: the parts of sessions/ over one real Redis, on time that stands still until a test moves it. Leases live for
// a minute of Redis' own time, so that only what a test does ends them.
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Backend, BackendSession, BackendSessionHost } from '../../../src/backends/backend.js';
import type { BackendSessionRecord, Directory } from '../../../src/directory/directory.js';
import { makeKeys } from '../../../src/directory/keys.js';
import { RedisDirectory } from '../../../src/directory/redis-directory.js';
import { digestOf, type SessionRef } from '../../../src/protocol/ids.js';
import { openOwnershipConnection } from '../../../src/redis/connect.js';
import { closeConnection, whenUp } from '../../../src/redis/ready.js';
import { OwnerCache } from '../../../src/routing/owner-cache.js';
import { type RoutingView, routeFromDirectory } from '../../../src/routing/route-session.js';
import { ALL_TOOLS } from '../../../src/servers/tool-filter.js';
import type { VirtualServer } from '../../../src/servers/virtual-server.js';
import { Drain } from '../../../src/sessions/drain.js';
import { BackendLeave } from '../../../src/sessions/backend-leave.js';
import { EndHere } from '../../../src/sessions/end-here.js';
import { type EndReason, SessionEnder } from '../../../src/sessions/end-session.js';
import { LeaseKeeper } from '../../../src/sessions/lease-keeper.js';
import { Liveness } from '../../../src/sessions/liveness.js';
import { NameSaver } from '../../../src/sessions/name-saver.js';
import { SessionOpener } from '../../../src/sessions/open-session.js';
import { IdleRelease } from '../../../src/sessions/release-idle.js';
import { SessionReleaser } from '../../../src/sessions/release-session.js';
import { Reclaim } from '../../../src/sessions/reclaim.js';
import { Reconnect } from '../../../src/sessions/reconnect.js';
import { Regain } from '../../../src/sessions/regain.js';
import type { Session } from '../../../src/sessions/session.js';
import { SessionBackends } from '../../../src/sessions/session-backends.js';
import { SessionTable } from '../../../src/sessions/session-table.js';
import { Sweep } from '../../../src/sessions/sweep.js';
import { TakeOver } from '../../../src/sessions/take-over.js';
import { OwnerTeller } from '../../../src/sessions/tell-owner.js';
import type { Principal } from '../../../src/streams/exchange.js';
import type { TeardownJob } from '../../../src/teardown/job.js';
import { FakeClock } from '../../support/fake-clock.js';
import { waitFor } from '../../support/wait-for.js';

export const LEASE_MS = 60_000;
export const IDLE_MS = 7_200_000;
export const RELEASE_MS = 4000;
export const SERVER: VirtualServer = { id: 'support', backends: ['tickets'], tools: ALL_TOOLS, prefix: 'auto' };
export const ALICE: Principal = { name: 'alice', digest: digestOf('alice') };
export const BOB: Principal = { name: 'bob', digest: digestOf('bob') };

export class World {
  readonly prefix = `t-${randomUUID().slice(0, 8)}:`;
  readonly keys = makeKeys(this.prefix);
  readonly clock = new FakeClock();
  /** What `identifyData` answers: another value after a restart. */
  data = 'as it was';
  /** By incarnation: who a lease speaks of. */
  readonly workers: TestWorker[] = [];

  private constructor(readonly redis: Redis) {}

  static async open(url: string): Promise<World> {
    const connection = openOwnershipConnection(url, { leaseMs: LEASE_MS });
    await whenUp(connection, 10_000);
    return new World(connection as Redis);
  }

  close(): Promise<void> {
    return closeConnection(this.redis);
  }

  async worker(name: string, caps: Caps = {}): Promise<TestWorker> {
    const worker = new TestWorker(this, name, caps);
    await worker.directory.checkGeneration(LEASE_MS);
    await this.redis.del(this.keys.settling);
    await worker.reconnect.start(false);
    await worker.keeper.start();
    this.workers.push(worker);
    return worker;
  }

  /** What Redis holds now; `restore` brings it back, as a restart from a file of now would. */
  async snapshot(): Promise<Snapshot> {
    const names = await this.redis.keys(`${this.prefix}*`);
    return Promise.all(
      names.map(async (name) => ({
        name,
        dump: (await this.redis.dumpBuffer(name)) as Buffer,
        ttlMs: await this.redis.pttl(name),
      })),
    );
  }

  async restore(snapshot: Snapshot): Promise<void> {
    const now = await this.redis.keys(`${this.prefix}*`);
    if (now.length > 0) await this.redis.del(...now);
    for (const { name, dump, ttlMs } of snapshot) await this.redis.restore(name, Math.max(ttlMs, 0), dump);
    this.data = randomUUID();
  }

  /** Every key that speaks of sessions. */
  async sessionKeys(): Promise<string[]> {
    const all = await this.redis.keys(`${this.prefix}*`);
    return all.map((key) => key.slice(this.prefix.length)).filter((key) => !/^(worker|generation|sweep|\{data\})/.test(key));
  }

  /** Its idle time has ended, by the index. */
  async expire(session: Session): Promise<void> {
    await this.redis.zadd(this.keys.expiry, this.clock.wallMs() - 1, session.facts.ref);
  }

  field(ref: SessionRef, name: 'owner' | 'epoch' | 'state'): Promise<string | null> {
    return this.redis.hget(this.keys.session(ref), name);
  }
}

export type Snapshot = ReadonlyArray<{ readonly name: string; readonly dump: Buffer; readonly ttlMs: number }>;

export interface Caps {
  readonly maxSessions?: number;
  readonly maxPerPrincipal?: number;
}

/** Keeps what it is given; `fails`: as a queue whose Redis is away. */
export class RecordingQueue {
  readonly jobs: TeardownJob[] = [];
  readonly delayed: TeardownJob[] = [];
  readonly hastened: TeardownJob[] = [];
  fails = false;
  tries = 0;

  async add(jobs: readonly TeardownJob[], delayMs = 0): Promise<void> {
    this.tries++;
    if (this.fails) throw new Error('told to fail');
    this.jobs.push(...jobs);
    if (delayMs > 0) this.delayed.push(...jobs);
  }

  async hasten(jobs: readonly TeardownJob[]): Promise<void> {
    this.hastened.push(...jobs);
  }
}

export class TestWorker {
  readonly table = new SessionTable();
  readonly backends = new Map<string, Backend>();
  /** Sealed texts of backend sessions whose backend was at another place. */
  readonly former = new Set<string>();
  server: VirtualServer = SERVER;
  readonly queue = new RecordingQueue();
  readonly owners = new OwnerCache();
  /** Sessions of which it told all workers that they have ended. */
  readonly announced: SessionRef[] = [];
  readonly ended: EndReason[] = [];
  readonly reclaimed: Array<{ kept: number; dropped: number; cause: string }> = [];
  readonly takenOver: string[] = [];
  readonly restored: BackendSessionRecord[] = [];
  readonly warnings: string[] = [];
  /** Names of directory verbs in the order in which they were called. */
  readonly verbs: string[] = [];
  /** Awaited before a verb is sent: how a test delays one. */
  before: ((verb: string) => Promise<void> | void) | undefined;
  /** Stopped: answers nobody. */
  isSilent = false;
  /** What it was told, `<cause> <reference>`. */
  readonly told: string[] = [];
  released = 0;
  openExchanges = 0;
  readonly directory: Directory;
  readonly keeper: LeaseKeeper;
  readonly reclaim: Reclaim;
  readonly reconnect: Reconnect;
  readonly ender: SessionEnder;
  readonly takeOver: TakeOver;
  readonly sessionBackends: SessionBackends;
  /** What the backend was given with the last session. */
  host: BackendSessionHost | undefined;
  readonly endHere: EndHere;
  readonly teller: OwnerTeller;
  readonly sweep: Sweep;
  readonly opener: SessionOpener;
  readonly liveness: Liveness;
  readonly drain: Drain;
  readonly idleRelease: IdleRelease;

  constructor(
    readonly world: World,
    name: string,
    { maxSessions = 1000, maxPerPrincipal = 1000 }: Caps,
  ) {
    const { clock } = world;
    const { table, queue } = this;
    this.directory = this.#recorded(
      new RedisDirectory({ connection: world.redis, prefix: world.prefix, idleTimeoutMs: IDLE_MS, clock }),
    );
    const { directory } = this;
    const warn = (message: string) => void this.warnings.push(message);
    this.keeper = new LeaseKeeper({
      directory,
      clock,
      leaseMs: LEASE_MS,
      name,
      facts: { index: 1, pid: 1, pod: name, host: 'host', unixSocket: `/tmp/${name}.sock`, startedMs: 0 },
      acknowledge: async () => undefined,
      events: {
        lapsed: () => this.reclaim.suspend(),
        recovered: () => this.reclaim.resume(),
        replaced: (cause, guardEndMs) => void this.reclaim.run(cause, guardEndMs),
        warn,
      },
    });
    const { keeper } = this;
    const shared = { directory, clock, keeper, table };
    this.ender = new SessionEnder({
      directory,
      clock,
      table,
      queue,
      onEnded: (_session, reason) => void this.ended.push(reason),
      warn,
    });
    const { ender } = this;
    this.reclaim = new Reclaim({
      ...shared,
      ender,
      regain: new Regain({ ...shared, idleTimeoutMs: IDLE_MS, isCapped: () => true }),
      leaseMs: LEASE_MS,
      onReclaimed: (counts) => void this.reclaimed.push(counts),
    });
    this.reconnect = new Reconnect({ ...shared, reclaim: this.reclaim, leaseMs: LEASE_MS, onReturn: () => undefined });
    this.backends.set('tickets', this.#backend());
    this.sessionBackends = new SessionBackends({
      directory,
      clock,
      backends: this.backends,
      belongs: (_session, backend, record) => this.backends.has(backend) && !this.former.has(record.sealed),
      leave: new BackendLeave({ directory, clock, queue, maxCallMs: () => 60_000 }),
      clientRequests: { ask: () => undefined, withdraw: () => undefined, forget: () => undefined },
      standing: { opened: () => undefined, lost: () => undefined },
      onNotification: () => undefined,
      onStateLost: () => undefined,
      onDiscard: () => undefined,
      onFenced: () => undefined,
      onReinitialized: () => undefined,
    });
    this.takeOver = new TakeOver({
      ...shared,
      sessionBackends: this.sessionBackends,
      findServer: (id) => (id === SERVER.id ? this.server : undefined),
      onTakenOver: (session) => void this.takenOver.push(session.facts.ref),
    });
    this.endHere = new EndHere({ ...shared, ender, takeOver: this.takeOver, idleTimeoutMs: IDLE_MS });
    this.teller = new OwnerTeller({
      announce: (ref) => void this.announced.push(ref),
      ...shared,
      ender,
      endHere: this.endHere,
      ask: async (to, ref, cause) => {
        const owner = world.workers.find((one) => one.keeper.isOwn(to.id));
        if (!owner || owner.isSilent) return 'silent';
        owner.told.push(`${cause} ${ref}`);
        return owner.endHere.end(ref, cause);
      },
      warn,
    });
    this.sweep = new Sweep({ ...shared, ender, teller: this.teller, idleTimeoutMs: IDLE_MS, warn });
    this.opener = new SessionOpener({
      ...shared,
      idleTimeoutMs: IDLE_MS,
      maxSessions,
      maxFor: () => maxPerPrincipal,
      findServer: (id) => (id === SERVER.id ? this.server : undefined),
      makeRoom: () => this.sweep.makeRoom(),
    });
    this.liveness = new Liveness({ ...shared, idleTimeoutMs: IDLE_MS, expire: (session) => ender.end(session, 'idle') });
    const releaser = new SessionReleaser({
      directory,
      table,
      idleTimeoutMs: IDLE_MS,
      savers: [new NameSaver({ directory, clock })],
      onReleased: () => undefined,
      onLost: (session, backends) => ender.abandon(session, backends),
    });
    this.idleRelease = new IdleRelease({
      ...shared,
      releaser,
      releaseAfterMs: RELEASE_MS,
      onReleased: (count) => {
        this.released += count;
      },
    });
    this.drain = new Drain({
      ...shared,
      ender,
      releaser,
      holdMs: 10_000,
      openExchanges: () => this.openExchanges,
      endsWithState: () => true,
      onReleased: (count) => {
        this.released += count;
      },
    });
  }

  get view(): RoutingView {
    return this;
  }

  async open(principal = ALICE): Promise<Session> {
    const session = await this.opener.open(SERVER, principal, initializeRequest());
    if (session === 'unavailable') throw new Error(`worker ${this.keeper.id} could open no session`);
    return session;
  }

  /** Gone for good; its lease too, as when a primary deletes that of a crashed worker. */
  die(): Promise<void> {
    return this.keeper.stop();
  }

  /** The key goes; this worker does not know it yet. */
  async loseLease(): Promise<void> {
    await this.world.redis.del(this.world.keys.lease(this.keeper.id));
  }

  /** The lease runs out by our clock and is gone; the next renewal takes a new incarnation. */
  async lapse(): Promise<void> {
    await this.loseLease();
    this.world.clock.stepWall(LEASE_MS);
    await this.renewUntilReplaced();
  }

  async renewUntilReplaced(): Promise<void> {
    const before = this.keeper.id;
    this.world.clock.advance(LEASE_MS / 3);
    await waitFor(
      () => `a new incarnation after ${before}`,
      () => this.keeper.id !== before && this.keeper.isValid(),
    );
  }

  async claim(session: Session): Promise<Session | undefined> {
    const read = await this.directory.readSession(session.facts.ref);
    if (read.kind !== 'found') throw new Error(`record ${session.facts.ref} is ${read.kind}`);
    const { record } = read;
    return this.takeOver.takeOver(session.facts.id, { owner: record.owner, epoch: record.epoch }, record);
  }

  route(session: Session, principal = ALICE.digest, serverId = SERVER.id, refused: Session['token'] | undefined = undefined) {
    return routeFromDirectory(this.view, { id: session.facts.id, serverId, principal, refused });
  }

  #recorded(directory: Directory): Directory {
    return new Proxy(directory, {
      get: (target, name: keyof Directory) => {
        const verb = target[name] as (...args: unknown[]) => Promise<unknown>;
        return async (...args: unknown[]) => {
          this.verbs.push(name);
          if (name === 'identifyData') return this.world.data;
          await this.before?.(name);
          return verb.apply(target, args);
        };
      },
    });
  }

  #backend(): Backend {
    return {
      name: 'tickets',
      lastInfo: undefined,
      createSession: (host, record) => {
        this.host = host;
        if (record) this.restored.push(record);
        return backendSession(false, record);
      },
      end: undefined,
      close: async () => undefined,
    };
  }
}

/** @param bound as a stdio child: cannot be passed on */
export function backendSession(bound: boolean, record?: BackendSessionRecord): BackendSession {
  return {
    backend: 'tickets',
    info: undefined,
    isOpen: true,
    isBoundToWorker: bound,
    record,
    open: () => Promise.reject(new Error('not in this test')),
    call: () => ({ mayHaveRun: false, cancel: () => undefined }),
    notify: async () => undefined,
    respond: async () => undefined,
    setListening: () => undefined,
    close: () => undefined,
  };
}

export function backendRecord(generation = 1, transport: 'http' | 'stdio' = 'http'): BackendSessionRecord {
  return { generation, sealed: `sealed-${generation}`, protocolVersion: '2025-06-18', capabilities: {}, transport };
}

export function initializeRequest() {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  return { jsonrpc: '2.0' as const, id: 1, method: 'initialize', params };
}

/** A gate that a test opens. */
export function makeGate(): { readonly passed: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}
