// The log level that a client has asked for, set also at backends that open later, or anew: they know nothing of it.
import type { BackendInfo } from '../backends/backend.js';
import type { OwnRequests } from '../backends/own-requests.js';
import type { Clock } from '../lifecycle/clock.js';
import type { Headers } from '../streams/exchange.js';
import type { Session } from './session.js';

export interface LogLevel {
  /** Of logging/setLevel. */
  readonly params: Record<string, unknown>;
  /** Of the request that set it: those that may be passed on are. */
  readonly headers: Headers;
}

/** Nobody waits for it. */
const SET_MS = 10_000;

export class LogLevels {
  readonly #ownRequests: OwnRequests;
  readonly #clock: Clock;
  /** Being told. Race: a backend forgets its session over this very request and is opened anew: without end, if it always does. */
  readonly #telling = new WeakMap<Session, Set<string>>();

  constructor(ownRequests: OwnRequests, clock: Clock) {
    this.#ownRequests = ownRequests;
    this.#clock = clock;
  }

  /** A backend session is open. One that refuses the level keeps its own. */
  opened(session: Session, backend: string, { capabilities }: BackendInfo): void {
    const { logLevel } = session;
    const opened = session.backends.get(backend);
    if (!logLevel || !opened || !capabilities.logging) return;
    const telling = this.#telling.get(session) ?? new Set();
    if (telling.has(backend)) return;
    this.#telling.set(session, telling.add(backend));
    const deadlineMs = this.#clock.monotonicMs() + SET_MS;
    this.#ownRequests
      .request(opened, { method: 'logging/setLevel', ...logLevel, deadlineMs })
      .catch(() => undefined)
      .finally(() => telling.delete(backend));
  }
}
