// Backends behind their breakers, as a worker has them, with probes in quick succession. Closes everything after each test.
import type { Backend, BackendSession, BackendSessionHost } from '../../../src/backends/backend.js';
import type { Transition, WatchOptions } from '../../../src/backends/health/backend-health.js';
import { BackendsHealth } from '../../../src/backends/health/backends-health.js';
import type { BackendStatus } from '../../../src/backends/health/status.js';
import type { BackendSessionRecord } from '../../../src/directory/directory.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { StrictBackend, type StrictBackendOptions } from '../../support/strict-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { keyring, RecordingHost } from '../backends-http/harness.js';

export class HealthWorld {
  readonly transitions: Transition[] = [];
  readonly handedOver: Array<{ ref: string; backend: string; record: BackendSessionRecord }> = [];
  /** Whether the worker has its lease. */
  mayAct = true;
  listFailure: string | undefined;
  readonly health: BackendsHealth;
  readonly #closing: Array<() => unknown> = [];

  constructor() {
    this.health = new BackendsHealth({
      clock: systemClock,
      keyring,
      random: () => 0.5,
      mayAct: () => this.mayAct,
      handOver: (ref, backend, record) => this.handedOver.push({ ref, backend, record }),
      onTransition: (transition) => this.transitions.push(transition),
      listFailure: () => this.listFailure,
      breaker: { firstDelayMs: 20, maxDelayMs: 100 },
    });
  }

  readonly #inForce = new Map<string, Backend>();

  later(close: () => unknown): void {
    this.#closing.push(close);
  }

  async strict(options: StrictBackendOptions = {}, port = 0): Promise<StrictBackend> {
    const strict = await StrictBackend.start(options, port);
    this.later(() => strict.close());
    return strict;
  }

  watch(inner: Backend, options: Partial<WatchOptions> = {}): Backend {
    this.later(() => inner.close());
    const watched = this.health.watch(inner, { isPersonal: false, probeTimeoutMs: 2000, ...options });
    this.#inForce.set(inner.name, watched);
    this.health.follow(this.#inForce);
    return watched;
  }

  session(backend: Backend, own = new RecordingHost()): BackendSession {
    const host: BackendSessionHost = {
      sessionRef: own.sessionRef,
      mayAct: () => own.mayAct(),
      save: (previous, value) => own.save(previous, value),
      discard: (value) => own.discard(value),
      onNotification: (json) => own.onNotification(json),
      onStateLost: (reason) => own.onStateLost(reason),
    };
    const session = backend.createSession(host, undefined);
    this.later(() => session.close(new GatewayError('SESSION_NOT_FOUND')));
    return session;
  }

  status(name = 'b'): BackendStatus {
    const status = this.health.list().find(({ backend }) => backend === name);
    if (!status) throw new Error(`no status of ${name}`);
    return status;
  }

  whenState(state: BackendStatus['state'], name = 'b'): Promise<BackendStatus> {
    return waitFor(
      () => `backend ${name} to be ${state}; it is ${JSON.stringify(this.status(name))}`,
      () => {
        const status = this.status(name);
        return status.state === state && status;
      },
      15_000,
    );
  }

  async close(): Promise<void> {
    this.health.close();
    for (const close of this.#closing.splice(0).reverse()) await close();
  }
}

export function useHealth(): () => HealthWorld {
  let world: HealthWorld;
  beforeEach(() => {
    world = new HealthWorld();
  });
  afterEach(() => world.close());
  return () => world;
}

/** What opening it fails with. */
export function failureOf(session: BackendSession, withinMs = 5000): Promise<GatewayError> {
  return session.open(performance.now() + withinMs).then(
    () => {
      throw new Error('it opened');
    },
    (error: GatewayError) => error,
  );
}
