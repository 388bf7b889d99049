// Whether new connections should come to this worker: what /readyz and the primary are told.
import type { Clock } from '../lifecycle/clock.js';
import type { LeaseKeeper } from '../sessions/lease-keeper.js';

export interface ReadinessState {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** A short outage must not empty the Service: its pods are all right, and their requests are held. */
const LEASES_WITHOUT_REDIS = 3;
/** The last renewal was up to this part of a lease before Redis went away. */
const RENEWAL_INTERVAL = 1 / 3;

export class Readiness {
  readonly #keeper: LeaseKeeper;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  #lastRenewedMs: number;

  constructor(keeper: LeaseKeeper, clock: Clock, leaseMs: number) {
    this.#keeper = keeper;
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    this.#lastRenewedMs = clock.monotonicMs();
  }

  /** To be asked more often than once a lease: it remembers the last renewal. */
  read(): ReadinessState {
    const now = this.#clock.monotonicMs();
    if (this.#keeper.isValid()) this.#lastRenewedMs = this.#keeper.renewedMs;
    const reasons = [
      ...(this.#keeper.isDraining ? ['draining'] : []),
      ...(now - this.#lastRenewedMs > (LEASES_WITHOUT_REDIS + RENEWAL_INTERVAL) * this.#leaseMs ? ['redis is away'] : []),
    ];
    return { ready: reasons.length === 0, reasons };
  }
}
