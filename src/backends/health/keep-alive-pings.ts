// Pings for backend sessions that nobody uses, so that backends which forget idle sessions keep them. One ticker for all
// sessions of a backend. A ping is no use of the client's session: that one expires as if there were none. A session that turns
// out to be lost is opened anew at once, by the path of any call.
import type { Clock, Timer } from '../../lifecycle/clock.js';
import { pingCall } from '../http/ping.js';
import type { WatchedSession } from './health-backend.js';

export interface KeepAliveParts {
  readonly clock: Clock;
  readonly keepAliveMs: number;
  readonly sessions: ReadonlySet<WatchedSession>;
}

/** The ticker runs so often within the interval; what has been idle for half of it is due. */
const TICKS = 4;
/** Pings under way at a time: thousands of sessions may fall due together. */
const MAX_RUNNING = 16;
const PING_TIMEOUT_MS = 10_000;

export class KeepAlivePings {
  readonly #parts: KeepAliveParts;
  readonly #ticker: Timer;
  #isRunning = false;
  #isClosed = false;

  constructor(parts: KeepAliveParts) {
    this.#parts = parts;
    this.#ticker = parts.clock.every(Math.max(1, parts.keepAliveMs / TICKS), () => void this.#tick());
  }

  close(): void {
    this.#isClosed = true;
    this.#ticker.cancel();
  }

  async #tick(): Promise<void> {
    // Slow pings of the last tick: those that they keep waiting are found at the next one.
    if (this.#isRunning) return;
    this.#isRunning = true;
    const due = this.#due();
    await Promise.all(Array.from({ length: MAX_RUNNING }, () => this.#work(due)));
    this.#isRunning = false;
  }

  #due(): Iterator<WatchedSession> {
    const { clock, keepAliveMs, sessions } = this.#parts;
    const idleSinceMs = clock.monotonicMs() - keepAliveMs / 2;
    return [...sessions].filter((session) => session.isOpen && session.lastUsedMs <= idleSinceMs).values();
  }

  async #work(due: Iterator<WatchedSession>): Promise<void> {
    const { clock } = this.#parts;
    for (let next = due.next(); !next.done && !this.#isClosed; next = due.next()) {
      const session = next.value;
      // Closed, or used, while others were pinged.
      if (!session.isOpen) continue;
      // A session that it finds lost is opened anew with them: without them it would be nobody's, or another caller's.
      await pingCall(session, clock.monotonicMs() + PING_TIMEOUT_MS, session.openedWith ?? {});
    }
  }
}
