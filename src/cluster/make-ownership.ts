// What makes sessions this worker's own, keeps them, and gives them up: the lease and its address, claims, take-over, the ways in
// which sessions end or are released.
import { Peers } from '../forward/peers.js';
import { isSessionRef, type SessionRef } from '../protocol/ids.js';
import { Broadcast } from '../redis/broadcast.js';
import { Drain } from '../sessions/drain.js';
import { EndHere } from '../sessions/end-here.js';
import { askToEnd } from '../sessions/end-over-hop.js';
import { LeaseKeeper } from '../sessions/lease-keeper.js';
import { Liveness } from '../sessions/liveness.js';
import { SessionOpener } from '../sessions/open-session.js';
import { Reclaim } from '../sessions/reclaim.js';
import { Reconnect } from '../sessions/reconnect.js';
import { Regain } from '../sessions/regain.js';
import { IdleRelease } from '../sessions/release-idle.js';
import { SessionReleaser } from '../sessions/release-session.js';
import { Sweep } from '../sessions/sweep.js';
import { TakeOver } from '../sessions/take-over.js';
import { OwnerTeller } from '../sessions/tell-owner.js';
import type { Exchange } from '../streams/exchange.js';
import { KeptListener } from './kept-listener.js';
import { makeCaps } from './make-caps.js';
import type { Sessions } from './make-sessions.js';
import type { Storage } from './make-storage.js';
import type { WorkerBase } from './worker-base.js';
import { hopLimits, listenForWorkers } from './worker-listeners.js';

export type Ownership = Awaited<ReturnType<typeof makeOwnership>>;

export interface OwnershipEvents {
  /** Something came over the internal listener. */
  request(exchange: Exchange): void;
  /** A worker, this one perhaps, has ended a session in place of its owner. */
  endedInPlace(ref: SessionRef): void;
}

export async function makeOwnership(
  { start, channel, config, live, clock, log, metrics, keyring, warn }: WorkerBase,
  { directory, redis, subscriber }: Storage,
  { table, ender, sessionBackends, standing, names, catalogs }: Sessions,
  events: OwnershipEvents,
) {
  const leaseMs = config.internal.lease;
  const idleTimeoutMs = config.sessions.idleTimeout;

  // The lease: its address facts come from the internal listener.
  const internal = { start, config, keyring, handler: events.request, metrics, log };
  const listener = await KeptListener.open({
    listen: (turn) => listenForWorkers(internal, turn),
    publish: (addresses) => keeper.moveTo(addresses),
  });
  const keeper: LeaseKeeper = new LeaseKeeper({
    directory,
    clock,
    leaseMs,
    name: `${start.pod}-${start.index}`,
    facts: {
      index: start.index,
      pid: process.pid,
      pod: start.pod,
      host: start.host,
      ...listener.addresses,
      startedMs: clock.wallMs(),
    },
    acknowledge: (id) => channel.acknowledge(id),
    events: {
      lapsed: () => {
        log.warn('the lease ran out: nothing is served from memory until it is ours again');
        reclaim.suspend();
      },
      recovered: () => reclaim.resume(),
      replaced: (cause, guardEndMs) => void reclaim.run(cause, guardEndMs),
      warn,
    },
  });
  metrics.leaseRemaining.measure(() => keeper.remainingMs() / 1000);
  const common = { directory, clock, keeper, table };
  const caps = makeCaps(() => live.config.sessions);

  // Claims.
  const reclaim = new Reclaim({
    ...common,
    ender,
    regain: new Regain({ directory, clock, keeper, idleTimeoutMs, isCapped: caps.isCapped }),
    leaseMs,
    onReclaimed: (counts) => log.warn(counts, 'sessions were claimed back'),
  });
  const reconnection = new Reconnect({
    directory,
    clock,
    keeper,
    reclaim,
    leaseMs,
    onReturn: (facts) => log.warn(facts, 'the connection to Redis was opened anew: verifying what this worker owns'),
  });
  const takeOver = new TakeOver({
    ...common,
    sessionBackends,
    findServer: (id) => live.servers.find(id),
    onTakenOver: (session, from) => {
      metrics.takeovers.inc();
      log.info({ session: session.facts.ref, from: from.owner, epoch: session.token.epoch }, 'took over a session');
    },
  });

  // Ends.
  const forwarder = new Peers({
    limits: hopLimits(config),
    ownPod: start.pod,
    keyring,
    clock,
    connectTimeoutMs: Math.min(leaseMs / 3, config.limits.connectTimeout),
  });
  const endHere = new EndHere({ ...common, ender, takeOver, idleTimeoutMs });
  const endings = new Broadcast(redis, subscriber, `${config.redis.prefix}ended`, (text) => {
    if (isSessionRef(text)) events.endedInPlace(text);
  });
  const teller = new OwnerTeller({
    ...common,
    announce: (ref) => endings.publish(ref),
    ender,
    endHere,
    warn,
    ask: (to, ref, cause, withinMs) => askToEnd({ forwarder, clock }, to, ref, cause, withinMs),
  });
  const sweep = new Sweep({ directory, clock, keeper, ender, teller, idleTimeoutMs, warn });
  const liveness = new Liveness({ directory, clock, table, idleTimeoutMs, expire: (session) => ender.end(session, 'idle') });

  // Release.
  const releaser = new SessionReleaser({
    directory,
    table,
    idleTimeoutMs,
    savers: [names, standing.saver],
    onReleased: (session) => catalogs.forget(session),
    onLost: (session, backends) => ender.abandon(session, backends),
  });
  const idleRelease = new IdleRelease({
    ...common,
    releaser,
    releaseAfterMs: config.sessions.releaseAfter,
    onReleased: (released) => log.debug({ released, left: table.size }, 'idle sessions were given up'),
  });
  const makeDrain = (openExchanges: () => number) =>
    new Drain({
      ...common,
      ender,
      releaser,
      get holdMs() {
        return live.config.limits.hold;
      },
      openExchanges,
      endsWithState: (session) =>
        [...session.backends.values()].some(
          (backend) => backend.isBoundToWorker && live.config.mcpServers[backend.backend]?.onStateLoss === 'fail',
        ),
      onReleased: (count) => log.info({ released: count, left: table.size }, 'drained'),
    });

  const opener = new SessionOpener({
    ...common,
    idleTimeoutMs,
    get maxSessions() {
      return live.config.sessions.max;
    },
    maxFor: (principal) => caps.maxFor(principal.digest),
    findServer: (id) => live.servers.find(id),
    makeRoom: () => sweep.makeRoom(),
  });
  return {
    listener,
    keeper,
    reconnection,
    takeOver,
    forwarder,
    endHere,
    teller,
    opener,
    makeDrain,
    /** Work in the background. */
    begin() {
      liveness.start();
      idleRelease.start();
      sweep.start();
    },
    stop() {
      liveness.stop();
      idleRelease.stop();
      sweep.stop();
      teller.stop();
    },
  };
}
