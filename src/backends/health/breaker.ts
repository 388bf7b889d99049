// When calls to a backend are tried, when they fail at once, and when a probe looks again. Pure: told the time, keeps none.
import type { HealthState } from './status.js';

/**
 * What a failure says. `all`: no connection is to be had, so nothing gets through · `openings`: no session is to be had, while one
 * that is open may work · `nothing`: it had no session for us this time (it is full, it refused this one): worth a probe, no more.
 */
export interface Cause {
  readonly reason: string;
  readonly blocks: 'all' | 'openings' | 'nothing';
}

export interface BreakerOptions {
  /** Failures in a row that open it. Default 3. */
  readonly threshold?: number;
  /** Back-off of probes: the first delay, doubling to the longest. Defaults 1 s and 30 s. */
  readonly firstDelayMs?: number;
  readonly maxDelayMs?: number;
  /** 0 ≤ n < 1. */
  readonly random: () => number;
}

/** How a probe ended: it opened a session, it failed, or it says nothing (the worker might not act). */
export type ProbeOutcome = 'opened' | 'void' | Cause;

/** Share of a delay by which it may be longer or shorter, so that workers do not probe together. */
const JITTER = 0.2;

export class Breaker {
  readonly #threshold: number;
  readonly #firstDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #random: () => number;
  #state: HealthState = 'unknown';
  #cause: Cause | undefined;
  #causeAtMs = 0;
  /** Failures that count towards the threshold. */
  #strikes = 0;
  #failures = 0;
  /** Probes that failed since all was well. */
  #attempts = 0;
  #isProbing = false;
  #nextProbeMs: number | undefined;
  #verifiedMs = Number.NEGATIVE_INFINITY;

  constructor({ threshold = 3, firstDelayMs = 1000, maxDelayMs = 30_000, random }: BreakerOptions) {
    this.#threshold = threshold;
    this.#firstDelayMs = firstDelayMs;
    this.#maxDelayMs = maxDelayMs;
    this.#random = random;
  }

  get state(): HealthState {
    return this.#state;
  }

  /** Of the failure that has not been made good; undefined if all is well. */
  get cause(): Cause | undefined {
    return this.#cause;
  }

  /** In a row, of every kind. */
  get failures(): number {
    return this.#failures;
  }

  /** When the next probe is due; undefined if none is, or while one runs. */
  get nextProbeMs(): number | undefined {
    return this.#isProbing ? undefined : this.#nextProbeMs;
  }

  /** @param isOpen the session of the call is open at the backend @returns why it fails at once */
  refusal(isOpen: boolean): Cause | undefined {
    if (this.#state !== 'down') return undefined;
    return isOpen && this.#cause?.blocks !== 'all' ? undefined : this.#cause;
  }

  /** A connection or an opening failed. */
  failed(cause: Cause, nowMs: number): void {
    this.#failures++;
    this.#causeAtMs = nowMs;
    if (cause.blocks !== 'nothing') this.#strikes++;
    // A backend that was down and now answers, if only to refuse: what is open there may be used, what is not waits for a probe.
    this.#cause = this.#state === 'down' && cause.blocks === 'nothing' ? { ...cause, blocks: 'openings' } : cause;
    if (this.#state !== 'down') this.#state = this.#strikes >= this.#threshold ? 'down' : 'degraded';
    this.#nextProbeMs ??= nowMs + this.#delayMs();
  }

  /** A session was opened. */
  succeeded(): void {
    this.#state = 'up';
    this.#cause = undefined;
    this.#strikes = 0;
    this.#failures = 0;
    this.#attempts = 0;
    this.#nextProbeMs = undefined;
  }

  /**
   * A request in an open session was answered. It says that connections are to be had (if it left after the last failure: a server
   * that stops still answers what it has), and nothing about openings: a server that refuses those keeps serving what is open.
   */
  answered(sentAtMs: number): void {
    if (this.#cause?.blocks === 'all' && sentAtMs > this.#causeAtMs) this.succeeded();
  }

  /**
   * Somebody failed who may have himself to blame: a probe shall tell. At most one in the longest delay, so that one caller cannot
   * make us probe all the time.
   */
  verify(nowMs: number): void {
    if (this.#cause || this.#nextProbeMs !== undefined || nowMs - this.#verifiedMs < this.#maxDelayMs) return;
    this.#verifiedMs = nowMs;
    this.#nextProbeMs = nowMs + this.#delayMs();
  }

  /** Another worker reached it: if all is not well here, the next probe is due within `withinMs`. */
  hurry(nowMs: number, withinMs: number): void {
    if (this.#cause)
      this.#nextProbeMs = Math.min(this.#nextProbeMs ?? Number.POSITIVE_INFINITY, nowMs + this.#random() * withinMs);
  }

  /** @returns false if one runs already, or none is due; else endProbe must follow */
  beginProbe(nowMs: number): boolean {
    if (this.#isProbing || this.#nextProbeMs === undefined || nowMs < this.#nextProbeMs) return false;
    this.#isProbing = true;
    this.#nextProbeMs = undefined;
    return true;
  }

  endProbe(outcome: ProbeOutcome, nowMs: number): void {
    this.#isProbing = false;
    if (outcome === 'opened') {
      this.succeeded();
    } else if (outcome === 'void') {
      if (this.#cause) this.#nextProbeMs ??= nowMs + this.#delayMs();
    } else {
      this.#attempts++;
      // What a caller's failure may have set meanwhile knows nothing of this attempt.
      this.#nextProbeMs = undefined;
      this.failed(outcome, nowMs);
    }
  }

  #delayMs(): number {
    const delayMs = this.#firstDelayMs * 2 ** Math.min(this.#attempts, 30) * (1 - JITTER + 2 * JITTER * this.#random());
    return Math.min(delayMs, this.#maxDelayMs);
  }
}
