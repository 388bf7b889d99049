// The half of a worker that keeps sessions in Redis: the product's own parts, put together as cluster/ does it, without what serves
// requests. What it writes is what production writes.
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';

const dist = (name) => import(new URL(`../../dist/${name}.js`, import.meta.url));
const [
  { sealBackendSession },
  { RedisDirectory },
  { systemClock },
  { digestOf, digestOfBackendSession },
  { openOwnershipConnection, openQueueConnection },
  { makeKeyring },
  { ALL_TOOLS },
  { EndHere },
  { SessionEnder },
  { IdleRelease },
  { LeaseKeeper },
  { Liveness },
  { SessionOpener },
  { Reclaim },
  { Regain },
  { SessionReleaser },
  { SessionTable },
  { Sweep },
  { TakeOver },
  { OwnerTeller },
  { BullTeardownQueue },
  { openIdsOf },
  { TeardownWorker },
] = await Promise.all(
  [
    'backends/http/sealed-session',
    'directory/redis-directory',
    'lifecycle/clock',
    'protocol/ids',
    'redis/connect',
    'secrets/keyring',
    'servers/tool-filter',
    'sessions/end-here',
    'sessions/end-session',
    'sessions/release-idle',
    'sessions/lease-keeper',
    'sessions/liveness',
    'sessions/open-session',
    'sessions/reclaim',
    'sessions/regain',
    'sessions/release-session',
    'sessions/session-table',
    'sessions/sweep',
    'sessions/take-over',
    'sessions/tell-owner',
    'teardown/bull-teardown-queue',
    'teardown/open-ids',
    'teardown/teardown-worker',
  ].map(dist),
);

export const LEASE_MS = 6000;
export const IDLE_MS = 7_200_000;
const SERVER = { id: 'support', backends: ['tickets'], tools: ALL_TOOLS, prefix: 'auto' };
export const BACKEND_URL = 'https://tickets.example.com/mcp';
export const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: { roots: { listChanged: true }, sampling: {}, elicitation: {} },
    clientInfo: { name: 'measured-client', title: 'A client of usual length', version: '1.104.0' },
  },
};

/** A clock whose periodic work is run by hand. */
function handClock() {
  let work;
  const every = (_, run) => {
    work = run;
    return { cancel: () => undefined };
  };
  return { clock: { ...systemClock, every }, fire: () => work() };
}

export class Member {
  commands = 0;
  warnings = [];
  /** Of the last run: `{ kept, dropped, cause }`. */
  reclaimed;
  reclaiming = Promise.resolve();
  #keyring = makeKeyring(['a secret for the measurement']);
  #startTeardown;
  tornDown = 0;

  /** @param options `{ url, prefix, name, perPrincipal }` */
  static async start(options) {
    const member = new Member(options);
    await Promise.all(member.connections.filter(({ status }) => status !== 'ready').map((one) => once(one, 'ready')));
    await member.directory.checkGeneration(LEASE_MS);
    await member.keeper.start();
    return member;
  }

  constructor({ url, prefix, name, perPrincipal }) {
    const onCommand = () => {
      this.commands += 1;
    };
    const count = { onCommand, onError: () => undefined };
    const redis = openOwnershipConnection(url, { leaseMs: LEASE_MS, name, ...count });
    const producer = openQueueConnection(url, { name, ...count });
    const consumer = openQueueConnection(url, { name, ...count });
    this.connections = [redis, producer, consumer];
    const clock = systemClock;
    const warn = (message) => void this.warnings.push(message);
    this.directory = new RedisDirectory({ connection: redis, prefix, idleTimeoutMs: IDLE_MS, clock });
    this.table = new SessionTable();
    const { directory, table } = this;
    this.keeper = new LeaseKeeper({
      directory,
      clock,
      leaseMs: LEASE_MS,
      name,
      facts: { index: 1, pid: process.pid, pod: name, host: 'measured', unixSocket: `/tmp/berth/${name}/1.sock`, startedMs: 0 },
      acknowledge: async () => undefined,
      events: {
        lapsed: () => this.reclaim.suspend(),
        recovered: () => this.reclaim.resume(),
        replaced: (cause, guardEndMs) => {
          this.reclaiming = this.reclaim.run(cause, guardEndMs);
        },
        warn,
      },
    });
    const shared = { directory, clock, keeper: this.keeper, table, idleTimeoutMs: IDLE_MS, warn };
    const queueOptions = { redisPrefix: prefix, keyring: this.#keyring, clock };
    this.queue = new BullTeardownQueue({ ...queueOptions, connection: producer });
    this.ender = new SessionEnder({ ...shared, queue: this.queue, onEnded: () => undefined });
    const { ender } = this;
    this.takeOver = new TakeOver({
      ...shared,
      sessionBackends: { restore: () => undefined },
      findServer: () => SERVER,
      onTakenOver: () => undefined,
    });
    const endHere = new EndHere({ ...shared, ender, takeOver: this.takeOver });
    const teller = new OwnerTeller({ ...shared, ender, endHere, ask: async () => 'silent', announce: () => undefined });
    this.sweep = new Sweep({ ...shared, ender, teller });
    this.opener = new SessionOpener({
      ...shared,
      maxSessions: 1e9,
      maxFor: () => 1e9,
      findServer: () => SERVER,
      makeRoom: async () => undefined,
    });
    const regain = new Regain({ ...shared, isCapped: () => true });
    this.reclaim = new Reclaim({
      ...shared,
      ender,
      regain,
      leaseMs: LEASE_MS,
      onReclaimed: (counts) => {
        this.reclaimed = counts;
      },
    });
    const releaser = new SessionReleaser({ ...shared, savers: [], onReleased: () => undefined, onLost: () => undefined });
    this.releaser = releaser;
    const periodic = handClock();
    this.tick = periodic.fire;
    /** Its periodic work is done when `tick` is called. */
    this.liveness = new Liveness({ ...shared, clock: periodic.clock, expire: async () => undefined });
    const looking = handClock();
    this.lookForQuiet = looking.fire;
    this.idleRelease = new IdleRelease({
      ...shared,
      clock: looking.clock,
      releaser,
      releaseAfterMs: 60_000,
      onReleased: () => undefined,
    });
    this.#startTeardown = () =>
      new TeardownWorker({
        ...queueOptions,
        connection: consumer,
        backend: () => ({ end: async () => ({ kind: 'status', status: 200 }) }),
        ...openIdsOf(directory),
        onResult: () => {
          this.tornDown += 1;
        },
      });
    this.perPrincipal = perPrincipal;
  }

  /** Runs teardown jobs from now on; every backend answers at once. */
  startTeardown() {
    this.teardown = this.#startTeardown();
  }

  /** An initialize. @param at decides whose it is */
  async open(at) {
    const name = `issuer.example/user-${Math.floor(at / this.perPrincipal)}`;
    const session = await this.opener.open(SERVER, { name, digest: digestOf(name) }, INITIALIZE);
    if (session === 'unavailable') throw new Error('a session could not be opened');
    return session;
  }

  /** What its first call saves: the backend session before it is used, and again once the backend has confirmed it. */
  async use(session) {
    const { facts, token } = session;
    const id = randomBytes(16).toString('hex');
    const headers = { authorization: `Bearer ${'x'.repeat(40)}` };
    const value = {
      generation: 1,
      sealed: sealBackendSession(this.#keyring, facts.ref, 'tickets', { id, headers, url: BACKEND_URL }),
      protocolVersion: '2025-11-25',
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
      transport: 'http',
      isConfirmed: false,
      digest: digestOfBackendSession(BACKEND_URL, id),
    };
    const saved = await this.directory.saveBackendSession(facts.ref, token, 'tickets', 0, value);
    await this.directory.saveBackendSession(facts.ref, token, 'tickets', 1, { ...value, isConfirmed: true });
    if (saved.kind !== 'saved') throw new Error(`a backend session was not saved: ${saved.kind}`);
    return value.digest;
  }

  /** A request for a session that is not known here and whose owner is nobody or dead: what routing reads, then the claim. */
  async claim({ id, ref }) {
    const read = await this.directory.readSession(ref);
    if (read.kind !== 'found') throw new Error(`a session is ${read.kind}`);
    const { owner, epoch } = read.record;
    if (owner !== '' && (await this.directory.readLease(owner))) throw new Error('its owner lives');
    const session = await this.takeOver.takeOver(id, { owner, epoch }, read.record);
    if (!session) throw new Error('a session was not taken over');
    return session;
  }

  async stop() {
    this.sweep.stop();
    await this.teardown?.close(2000);
    await this.queue.close().catch(() => undefined);
    await this.keeper.stop();
    for (const connection of this.connections) connection.disconnect();
  }
}
