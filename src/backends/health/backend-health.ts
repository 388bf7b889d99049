// The health of one backend as this worker knows it: its breaker, the probe that looks after it while all is not well, and its status.
import type { BackendSessionRecord } from '../../directory/directory.js';
import { GatewayError } from '../../errors/gateway-error.js';
import type { Clock, Timer } from '../../lifecycle/clock.js';
import type { Keyring } from '../../secrets/keyring.js';
import type { Backend, HealthReports } from '../backend.js';
import { Breaker, type BreakerOptions, type Cause } from './breaker.js';
import { blame, causeOf } from './causes.js';
import { type Gate, HealthBackend, type WatchedSession } from './health-backend.js';
import { KeepAlivePings } from './keep-alive-pings.js';
import { Probe } from './probe.js';
import type { BackendStatus, HealthState } from './status.js';

/** What differs from one backend to another. */
export interface WatchOptions {
  /** It gets headers of the callers: what fails for one of them may be his own fault. */
  readonly isPersonal: boolean;
  /** For the whole opening of a probe's session. */
  readonly probeTimeoutMs: number;
  /** Longest time between probes. Default 30 s. */
  readonly maxDelayMs?: number;
  /** An idle open session gets a ping before it was unused for so long. 0 (default): none. */
  readonly keepAliveMs?: number;
}

/** A backend went down, or came back from anything else than `unknown`. */
export interface Transition {
  readonly backend: string;
  readonly from: HealthState;
  readonly to: 'down' | 'up';
  readonly reason: string | undefined;
  /** How long it was in `from`. */
  readonly afterMs: number;
  readonly failures: number;
}

export interface HealthParts {
  readonly clock: Clock;
  readonly keyring: Keyring;
  readonly random: () => number;
  /** See Probe. */
  readonly mayAct: () => boolean;
  readonly handOver: (sessionRef: string, backend: string, record: BackendSessionRecord) => void;
  readonly onTransition: (transition: Transition) => void;
  /** Why its shared lists could not be read, if that is so. */
  readonly listFailure: (backend: string) => string | undefined;
  /** For tests. */
  readonly breaker?: Omit<BreakerOptions, 'random'>;
}

/** Workers that hear of a recovery look for themselves, not all at once. */
const HURRY_MS = 200;
/** Streams of sessions that wait for a backend are opened over this time after its return, not all at once. */
const RECONNECT_WITHIN_MS = 2000;

export class BackendHealth implements HealthReports, Gate {
  /** To be used instead of the backend itself. */
  readonly backend: Backend;
  readonly sessions = new Set<WatchedSession>();
  readonly useClock: Clock | undefined;
  readonly #inner: Backend;
  readonly #parts: HealthParts;
  readonly #options: WatchOptions;
  readonly #breaker: Breaker;
  readonly #probe: Probe;
  readonly #pings: KeepAlivePings | undefined;
  #timer: Timer | undefined;
  #state: HealthState = 'unknown';
  #sinceMonotonicMs: number;
  #sinceWallMs: number;
  #lastError: { readonly reason: string; readonly atMs: number } | undefined;
  #isClosed = false;

  constructor(inner: Backend, parts: HealthParts, options: WatchOptions) {
    const { clock, keyring, random, mayAct, handOver } = parts;
    this.#inner = inner;
    this.#parts = parts;
    this.#options = options;
    const { maxDelayMs } = options;
    this.#breaker = new Breaker({ ...(maxDelayMs === undefined ? {} : { maxDelayMs }), ...parts.breaker, random });
    this.#probe = new Probe({
      backend: inner,
      keyring,
      clock,
      timeoutMs: options.probeTimeoutMs,
      mayAct,
      handOver: (ref, record) => handOver(ref, inner.name, record),
    });
    const keepAliveMs = options.keepAliveMs ?? 0;
    this.useClock = keepAliveMs > 0 ? clock : undefined;
    if (keepAliveMs > 0) this.#pings = new KeepAlivePings({ clock, keepAliveMs, sessions: this.sessions });
    this.#sinceMonotonicMs = clock.monotonicMs();
    this.#sinceWallMs = clock.wallMs();
    this.backend = new HealthBackend(inner, this);
  }

  get reports(): HealthReports {
    return this;
  }

  // --- what the sessions of the backend tell -----------------------------------------------------------------------------

  get isInDoubt(): boolean {
    return this.#breaker.cause !== undefined;
  }

  opened(): void {
    this.#breaker.succeeded();
    this.#settle();
  }

  openFailed(error: GatewayError): void {
    const cause = causeOf(error);
    if (cause) this.#note(cause);
  }

  unreached(error: GatewayError): void {
    this.openFailed(error);
  }

  answered(sentAtMs: number): void {
    this.#breaker.answered(sentAtMs);
    this.#settle();
  }

  refusal(isOpen = false): GatewayError | undefined {
    // Nobody probes for it any more: a session that still uses it finds out for itself.
    if (this.#isClosed) return undefined;
    const cause = this.#breaker.refusal(isOpen);
    if (!cause) return undefined;
    const { reason } = cause;
    return new GatewayError('BACKEND_UNAVAILABLE', {
      message: `${this.#inner.name} is down (${reason})`,
      details: { backend: this.#inner.name, reason: 'broken', cause: reason, since: new Date(this.#sinceWallMs).toISOString() },
    });
  }

  // --- what the worker asks ----------------------------------------------------------------------------------------------

  /** Another worker has reached it. */
  hurry(): void {
    this.#breaker.hurry(this.#parts.clock.monotonicMs(), HURRY_MS);
    this.#arm();
  }

  get state(): HealthState {
    return this.#state;
  }

  status(): BackendStatus {
    const { clock, listFailure } = this.#parts;
    const { cause, failures, nextProbeMs } = this.#breaker;
    const unread = this.#state === 'up' ? listFailure(this.#inner.name) : undefined;
    const reason = cause?.reason ?? unread;
    const info = this.#inner.lastInfo;
    let openSessions = 0;
    for (const session of this.sessions) if (session.isOpen) openSessions++;
    return {
      backend: this.#inner.name,
      state: unread === undefined ? this.#state : 'degraded',
      ...(reason === undefined ? {} : { reason }),
      sinceMs: this.#sinceWallMs,
      ...(this.#lastError ? { lastError: this.#lastError } : {}),
      failures,
      openSessions,
      ...(nextProbeMs === undefined ? {} : { nextProbeMs: Math.round(clock.wallMs() + nextProbeMs - clock.monotonicMs()) }),
      ...(info
        ? { info: { protocolVersion: info.protocolVersion, ...(info.serverInfo ? { serverInfo: info.serverInfo } : {}) } }
        : {}),
    };
  }

  /** No probe and no ping begins any more, and nothing is refused. The backend itself is closed by whoever made it. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#pings?.close();
    this.#probe.close();
  }

  // --- inside ------------------------------------------------------------------------------------------------------------

  #note(cause: Cause): void {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (this.#options.isPersonal) {
      const whose = blame(cause);
      if (whose !== 'backend') {
        if (whose === 'perhaps') this.#breaker.verify(nowMs);
        this.#arm();
        return;
      }
    }
    this.#lastError = { reason: cause.reason, atMs: clock.wallMs() };
    this.#breaker.failed(cause, nowMs);
    this.#settle();
  }

  /** After every change of the breaker: tells transitions, and sets the alarm for the next probe. */
  #settle(): void {
    // What it learns now concerns a backend of that name that is no longer in force.
    if (this.#isClosed) return;
    this.#arm();
    const { state: to, cause, failures } = this.#breaker;
    const from = this.#state;
    if (from === to) return;
    const { clock, random, onTransition } = this.#parts;
    const nowMs = clock.monotonicMs();
    const afterMs = nowMs - this.#sinceMonotonicMs;
    this.#state = to;
    this.#sinceMonotonicMs = nowMs;
    this.#sinceWallMs = clock.wallMs();
    if (to === 'up') for (const session of this.sessions) session.reconnect(random() * RECONNECT_WITHIN_MS);
    if (to === 'down' || (to === 'up' && from !== 'unknown')) {
      onTransition({ backend: this.#inner.name, from, to, reason: cause?.reason, afterMs, failures });
    }
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { nextProbeMs } = this.#breaker;
    if (nextProbeMs === undefined || this.#isClosed) return;
    const delayMs = Math.max(0, nextProbeMs - this.#parts.clock.monotonicMs());
    this.#timer = this.#parts.clock.after(delayMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { clock } = this.#parts;
    if (this.#isClosed) return;
    // A timer may fire a little before its time.
    if (!this.#breaker.beginProbe(clock.monotonicMs())) {
      this.#arm();
      return;
    }
    const result = await this.#probe.run();
    const cause = result.kind === 'failed' ? this.#causeOfProbe(result.error) : undefined;
    const outcome = result.kind === 'opened' || cause === 'reached' ? 'opened' : (cause ?? 'void');
    if (outcome !== 'opened') await this.#probe.settle(false);
    if (this.#isClosed) return;
    if (typeof outcome === 'object') this.#lastError = { reason: outcome.reason, atMs: clock.wallMs() };
    this.#breaker.endProbe(outcome, clock.monotonicMs());
    this.#settle();
    if (outcome === 'opened') await this.#probe.settle(true);
  }

  #causeOfProbe(error: GatewayError): Cause | 'reached' | undefined {
    const cause = causeOf(error);
    // A probe has no credentials of any caller: being refused for that is all it can hope for.
    return cause && this.#options.isPersonal && blame(cause) === 'his' ? 'reached' : cause;
  }
}
