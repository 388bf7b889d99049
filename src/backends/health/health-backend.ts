// A backend behind its breaker: what the breaker refuses fails at once, everything else goes through untouched. How the backend
// fares is told by its own sessions (BackendSessionHost.health), which know what they did; here nothing is put around a call.
import type { BackendSessionRecord } from '../../directory/directory.js';
import type { GatewayError } from '../../errors/gateway-error.js';
import type { Clock } from '../../lifecycle/clock.js';
import type { Headers } from '../../streams/exchange.js';
import {
  type Backend,
  type BackendCall,
  type BackendInfo,
  type BackendSession,
  type BackendSessionHost,
  type HealthReports,
  NOTHING_RUNS,
  type RunningCall,
} from '../backend.js';

/** What the wrapped sessions need of the health of their backend. */
export interface Gate {
  readonly reports: HealthReports;
  /** Why a call or an opening fails at once. */
  refusal(isOpen: boolean): GatewayError | undefined;
  /** Sessions of this worker that were not closed. */
  readonly sessions: Set<WatchedSession>;
  /** Set where uses are noted, for keep-alive pings. */
  readonly useClock: Clock | undefined;
  /** See BackendHealth. */
  close(): void;
}

export class HealthBackend implements Backend {
  readonly name: string;
  /** The teardown has a pace and a patience of its own. */
  readonly end: Backend['end'];
  readonly #inner: Backend;
  readonly #gate: Gate;

  constructor(inner: Backend, gate: Gate) {
    this.name = inner.name;
    this.end = inner.end?.bind(inner);
    this.#inner = inner;
    this.#gate = gate;
  }

  get lastInfo(): BackendInfo | undefined {
    return this.#inner.lastInfo;
  }

  createSession(host: BackendSessionHost, record: BackendSessionRecord | undefined): BackendSession {
    const inner = this.#inner.createSession({ ...host, health: this.#gate.reports }, record);
    return new WatchedSession(inner, this.#gate);
  }

  close(): Promise<void> {
    this.#gate.close();
    return this.#inner.close();
  }
}

export class WatchedSession implements BackendSession {
  readonly backend: string;
  /** Monotonic; kept only where `useClock` is given. */
  lastUsedMs: number;
  readonly inner: BackendSession;
  readonly #gate: Gate;

  constructor(inner: BackendSession, gate: Gate) {
    this.backend = inner.backend;
    this.inner = inner;
    this.#gate = gate;
    this.lastUsedMs = gate.useClock?.monotonicMs() ?? 0;
    gate.sessions.add(this);
  }

  get info(): BackendInfo | undefined {
    return this.inner.info;
  }

  get isOpen(): boolean {
    return this.inner.isOpen;
  }

  get resumesStreams(): boolean | undefined {
    return this.inner.resumesStreams;
  }

  get isBoundToWorker(): boolean {
    return this.inner.isBoundToWorker;
  }

  get openedWith(): Headers | undefined {
    return this.inner.openedWith;
  }

  get record(): BackendSessionRecord | undefined {
    return this.inner.record;
  }

  /** Also where it is open: whoever asks wants to read lists, and those of a backend that is down are hidden from all alike. */
  open(deadlineMs: number, headers?: Headers): Promise<BackendInfo> {
    const refusal = this.#gate.refusal(false);
    return refusal ? Promise.reject(refusal) : this.inner.open(deadlineMs, headers);
  }

  call(call: BackendCall): RunningCall {
    const { useClock } = this.#gate;
    if (useClock) this.lastUsedMs = useClock.monotonicMs();
    const refusal = this.#gate.refusal(this.inner.isOpen);
    if (!refusal) return this.inner.call(call);
    call.sink.fail(refusal);
    return NOTHING_RUNS;
  }

  notify(...args: Parameters<BackendSession['notify']>): Promise<void> {
    return this.inner.notify(...args);
  }

  respond(...args: Parameters<BackendSession['respond']>): Promise<void> {
    return this.inner.respond(...args);
  }

  setListening(...args: Parameters<BackendSession['setListening']>): void {
    this.inner.setListening(...args);
  }

  reconnect(withinMs: number): void {
    this.inner.reconnect?.(withinMs);
  }

  close(error: GatewayError): void {
    this.#gate.sessions.delete(this);
    this.inner.close(error);
  }
}
