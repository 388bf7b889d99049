// The health of the backends: what follows from a backend that went down or came back, here and on the other workers.
import type { Backend } from '../backends/backend.js';
import type { CatalogKind } from '../backends/catalog.js';
import type { CatalogCache } from '../backends/catalog-cache.js';
import type { Transition } from '../backends/health/backend-health.js';
import { BackendsHealth } from '../backends/health/backends-health.js';
import type { HealthView } from '../backends/health/status.js';
import type { BackendConfig, Config } from '../config/schema.js';
import type { BackendSessionRecord } from '../directory/directory.js';
import type { SessionRef } from '../protocol/ids.js';
import { Broadcast } from '../redis/broadcast.js';
import type { ListChanges } from '../sessions/list-changes.js';
import type { Storage } from './make-storage.js';
import type { Teardown } from './make-teardown.js';
import type { WorkerBase } from './worker-base.js';

export interface Health extends HealthView {
  /** @returns what is to be used instead of the backend */
  watch(backend: Backend, config: BackendConfig, limits: Config['limits']): Backend;
  /** These are in force from now on, and no others. */
  follow(backends: ReadonlyMap<string, Backend>): void;
  /** Probes may begin. @param mayAct the worker's guard: its lease is valid */
  start(mayAct: () => boolean): void;
  close(): void;
}

/** What is made after the backends are. */
export interface HealthSurroundings {
  readonly cache: CatalogCache;
  readonly listChanges: ListChanges;
  readonly teardown: Pick<Teardown, 'discard'>;
}

/** Starting a process for nothing costs more than a request. */
const STDIO_MAX_DELAY_MS = 60_000;

export function makeHealth(
  { config, clock, keyring, log, metrics }: WorkerBase,
  { redis, subscriber }: Storage,
  surroundings: () => HealthSurroundings,
): Health {
  let guard: () => boolean = () => false;
  const tell = (backend: string, kinds: Iterable<CatalogKind>) => {
    for (const kind of kinds) surroundings().listChanges.tell(backend, kind);
  };
  const wentDown = ({ backend, reason, failures }: Transition) => {
    log.warn({ backend, reason, failures }, 'backend is down: its tools are hidden, calls to it fail at once');
    metrics.backendUp.set(0, backend);
    const kinds = surroundings().cache.hide(backend, reason ?? 'unknown');
    tell(
      backend,
      [...kinds].flatMap(([kind, wasShown]) => (wasShown ? [kind] : [])),
    );
    if (kinds.size > 0) broadcast.publish(`down ${backend} ${[...kinds.keys()].join(',')}`);
  };
  const cameBack = ({ backend, from, afterMs }: Transition) => {
    if (from === 'down') log.info({ backend, downMs: Math.round(afterMs) }, 'backend is up again');
    metrics.backendUp.set(1, backend);
    const kinds = surroundings().cache.show(backend);
    tell(backend, kinds);
    if (from === 'down' || kinds.size > 0) broadcast.publish(`up ${backend}`);
  };
  const health = new BackendsHealth({
    clock,
    keyring,
    random: Math.random,
    mayAct: () => guard(),
    handOver: (ref, backend, record: BackendSessionRecord) => surroundings().teardown.discard(ref as SessionRef, backend, record),
    onTransition: (transition) => (transition.to === 'down' ? wentDown(transition) : cameBack(transition)),
    listFailure: (backend) => surroundings().cache.failureOf(backend),
  });
  // Each worker judges by what it sees itself. Of the others it takes only that it is time to look: at the lists, or by a probe.
  const broadcast = new Broadcast(redis, subscriber, `${config.redis.prefix}health`, (text) => {
    const [what, name = '', kinds = ''] = text.split(' ');
    const backend = health.find(name);
    if (!backend) return;
    const { cache } = surroundings();
    if (what === 'up') {
      if (backend.isInDoubt) backend.hurry();
      else tell(name, cache.show(name));
    } else if (backend.state !== 'down') {
      cache.invalidate(name);
      tell(name, kinds.split(',') as CatalogKind[]);
    }
  });

  return {
    list: () => health.list(),
    watch(backend, options, limits) {
      const { reinitializeTimeout, startTimeout } = limits;
      return health.watch(
        backend,
        options.type === 'stdio'
          ? { isPersonal: false, probeTimeoutMs: startTimeout, maxDelayMs: STDIO_MAX_DELAY_MS }
          : {
              isPersonal: options.forwardHeaders.length > 0,
              probeTimeoutMs: Math.min(reinitializeTimeout, options.timeout),
              keepAliveMs: 'keepAlive' in options ? options.keepAlive : 0,
            },
      );
    },
    follow(backends) {
      const before = health.list().map(({ backend }) => backend);
      for (const name of health.follow(backends)) metrics.backendUp.set(1, name);
      for (const name of before) if (!backends.has(name)) metrics.backendUp.remove(name);
    },
    start(mayAct) {
      guard = mayAct;
    },
    close: () => health.close(),
  };
}
