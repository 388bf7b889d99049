// The worker's proof of life, and the clock half of the guard (asked before every act): when this says "not valid", nothing may
// begin. It must never say "valid" longer than every other worker must believe the lease.
import { type Directory, DirectoryUnavailable, type Lease } from '../directory/directory.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import { mintWorkerId, type WorkerId } from '../protocol/ids.js';

export type LeaseFacts = Omit<Lease, 'id' | 'draining'>;

export interface LeaseEvents {
  /** The lease ran out by our own clock: nothing may begin until `renewed` or `replaced`. */
  lapsed(): void;
  /** A late renewal found the lease still there: it was never gone, so nobody can have taken anything. */
  recovered(): void;
  /**
   * A new incarnation holds a new lease. `ranOut`: the old lease was gone (sessions must be claimed back by compare-and-set);
   * `dataLost`: the key vanished while the old lease was valid (sessions must be registered anew until `guardEndMs`).
   * Must not block: thousands of claims take longer than a renewal may wait.
   * @param guardEndMs monotonic, when the guard of the old incarnation ended or will end
   */
  replaced(cause: 'ranOut' | 'dataLost', guardEndMs: number): void;
  warn(message: string, details: Record<string, unknown>): void;
}

export interface LeaseKeeperOptions {
  readonly directory: Directory;
  readonly clock: Clock;
  /** `internal.lease`, ms. */
  readonly leaseMs: number;
  /** Worker name, the part of its id that stays over incarnations. */
  readonly name: string;
  readonly facts: LeaseFacts;
  /** Resolves when the primary knows the incarnation: before that no lease may be written, or nobody would delete it at our death. */
  readonly acknowledge: (id: WorkerId) => Promise<void>;
  readonly events: LeaseEvents;
}

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #marginMs: number;
  #facts: LeaseFacts;
  #id: WorkerId;
  #previousIds = new Set<WorkerId>();
  #validUntilMonotonicMs = 0;
  #validUntilWallMs = 0;
  /** After a loss of data, until the new incarnation has its lease: when the old guard would have ended. */
  #lossUntilMonotonicMs = 0;
  #lossUntilWallMs = 0;
  #lapseTold = false;
  #draining = false;
  #stopped = false;
  #mayTakeOverFromMs = 0;
  #mayClaimFromMs = 0;
  #connectionsLost = 0;
  #timer: Timer | undefined;
  #renewing: Promise<void> | undefined;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#marginMs = options.leaseMs / 6;
    this.#facts = options.facts;
    this.#id = mintWorkerId(options.name);
  }

  /** The incarnation in force. */
  get id(): WorkerId {
    return this.#id;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /**
   * The guard's clock half. A lease has run out as soon as either clock says so: a suspended machine may stop the monotonic one,
   * an operator may step the other. Also false from the moment of a lapse until it was told and healed.
   */
  isValid(): boolean {
    const { clock } = this.#options;
    return !this.#stopped && clock.monotonicMs() < this.#validUntilMonotonicMs && clock.wallMs() < this.#validUntilWallMs;
  }

  /** Milliseconds of validity left; 0 when it ran out. */
  remainingMs(): number {
    const { clock } = this.#options;
    return Math.max(0, Math.min(this.#validUntilMonotonicMs - clock.monotonicMs(), this.#validUntilWallMs - clock.wallMs()));
  }

  /** True for this incarnation and every earlier one of this process: what they held, we may claim back. */
  isOwn(id: string): boolean {
    return id === this.#id || this.#previousIds.has(id as WorkerId);
  }

  /** Rule 5: who lapsed itself takes over from nobody else for one lease, so that owners claim back first. */
  mayTakeOver(): boolean {
    return this.mayClaim() && !this.#draining && this.#options.clock.monotonicMs() >= this.#mayTakeOverFromMs;
  }

  /** Whether a session that nobody owns, or that this process owned before, may be claimed. */
  mayClaim(): boolean {
    return this.isValid() && this.isDataSettled();
  }

  /** False while the data may be older than what owners know: what it calls free or gone may be neither. */
  isDataSettled(): boolean {
    return this.#options.clock.monotonicMs() >= this.#mayClaimFromMs;
  }

  /** Grows when the connection to Redis is lost: what was asked before may have gone with the data. */
  get connectionsLost(): number {
    return this.#connectionsLost;
  }

  /** Until `forbidClaimsUntil` nothing is claimed. */
  noteConnectionLost(): void {
    this.#connectionsLost++;
    this.#mayClaimFromMs = Number.POSITIVE_INFINITY;
  }

  /**
   * Nothing that the directory calls free is claimed before `fromMs` (monotonic). After a reconnect the
   * data may be older than what owners know, and they have to write their claims anew first.
   */
  forbidClaimsUntil(fromMs: number): void {
    this.#mayClaimFromMs = fromMs;
  }

  /** Monotonic, when the renewal that counts was sent. */
  get renewedMs(): number {
    return this.#validUntilMonotonicMs - this.#options.leaseMs + this.#marginMs;
  }

  /** Monotonic, when the guard ends if no renewal succeeds; in the past if it has ended. */
  get guardEndMs(): number {
    return this.#options.clock.monotonicMs() + this.remainingMs();
  }

  /**
   * Writes the first lease, trying again while Redis is away.
   * @param redisWasAway it had to be waited for: owners that it kept away as well claim back first
   * @throws what the directory throws if it is not only unavailable
   */
  async start(redisWasAway = false): Promise<void> {
    if (redisWasAway) this.#forbidTakeOver();
    while (!this.#stopped && !(await this.#openLease())) {
      this.#forbidTakeOver();
      await new Promise<void>((resolve) => this.#options.clock.after(this.#options.leaseMs / 12, resolve));
    }
    this.#schedule(this.#options.leaseMs / 3);
  }

  /** Tells the others with the next renewal, which is sent at once. */
  async setDraining(): Promise<void> {
    this.#draining = true;
    // Race: a renewal that is on its way still says that we stay.
    await this.#renewing;
    await this.#renew();
  }

  /** Tells the others where the worker is to be reached from now on, with a renewal that is sent at once. */
  async moveTo(addresses: Pick<LeaseFacts, 'unixSocket' | 'tcp'>): Promise<void> {
    this.#facts = { ...this.#facts, ...addresses };
    // Race: a renewal that is on its way still names the old addresses.
    await this.#renewing;
    if (!this.#stopped) await this.#renew();
  }

  /** Nothing is valid from now on; deletes the lease: everything this worker still owned is free. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#renewing;
    this.#validUntilMonotonicMs = 0;
    await this.#options.directory.removeLease(this.#id).catch(() => undefined);
  }

  #lease(): Lease {
    return { ...this.#facts, id: this.#id, draining: this.#draining };
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#stopped) return;
    // The lapse must be told when it happens, not when the next renewal comes back.
    this.#timer = this.#options.clock.after(delayMs, () => void this.#renew());
  }

  #renew(): Promise<void> {
    this.#renewing ??= this.#renewOnce().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renewOnce(): Promise<void> {
    const { directory, clock, leaseMs, events } = this.#options;
    const wasGuarded = this.#isGuarded();
    if (!wasGuarded) this.#tellLapse();
    const sentMonotonicMs = clock.monotonicMs();
    const sentWallMs = clock.wallMs();
    try {
      if (await directory.renewLease(this.#lease(), leaseMs)) {
        // Race: we were paused after the answer; validity counts from before it was sent, so the pause is not added to it.
        const hadLapsed = this.#lapseTold;
        this.#setValid(sentMonotonicMs, sentWallMs);
        this.#schedule(leaseMs / 3);
        if (hadLapsed && this.isValid()) events.recovered();
        return;
      }
      // Invariant: a lease that is gone never comes back, so this incarnation is over whatever the cause.
      const cause = wasGuarded && this.#isGuarded() ? 'dataLost' : 'ranOut';
      await this.#replace(cause);
      this.#schedule(leaseMs / 3);
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) events.warn('lease renewal failed', { error: String(error) });
      if (!this.#isGuarded()) this.#tellLapse();
      this.#schedule(leaseMs / 12);
    }
  }

  /** Valid, or between two incarnations after a loss of data and the guard of the old one has not ended. */
  #isGuarded(): boolean {
    const { clock } = this.#options;
    return this.isValid() || (clock.monotonicMs() < this.#lossUntilMonotonicMs && clock.wallMs() < this.#lossUntilWallMs);
  }

  #setValid(sentMonotonicMs: number, sentWallMs: number): void {
    this.#validUntilMonotonicMs = sentMonotonicMs + this.#options.leaseMs - this.#marginMs;
    this.#validUntilWallMs = sentWallMs + this.#options.leaseMs - this.#marginMs;
    this.#lossUntilMonotonicMs = 0;
    this.#lapseTold = false;
  }

  #tellLapse(): void {
    if (this.#lapseTold) return;
    this.#lapseTold = true;
    this.#forbidTakeOver();
    this.#options.events.lapsed();
  }

  #forbidTakeOver(): void {
    this.#mayTakeOverFromMs = this.#options.clock.monotonicMs() + this.#options.leaseMs;
  }

  async #replace(cause: 'ranOut' | 'dataLost'): Promise<void> {
    const { clock } = this.#options;
    this.#previousIds.add(this.#id);
    if (this.#previousIds.size > 1000) this.#previousIds.delete(this.#previousIds.values().next().value as WorkerId);
    if (this.isValid()) {
      // Race: what the new incarnation opened or claimed before its lease is written would look like a dead owner's. So nothing
      // is valid in between; only the cause remembers the old guard.
      this.#lossUntilMonotonicMs = this.#validUntilMonotonicMs;
      this.#lossUntilWallMs = this.#validUntilWallMs;
      this.#validUntilMonotonicMs = 0;
    }
    const guardEndMs = cause === 'dataLost' ? this.#lossUntilMonotonicMs : clock.monotonicMs();
    this.#id = mintWorkerId(this.#options.name);
    if (cause === 'ranOut') this.#tellLapse();
    // A failed opening leaves the new id without a lease; the next renewal finds none and comes here again.
    if (await this.#openLease()) {
      if (cause === 'ranOut') this.#forbidTakeOver();
      this.#options.events.replaced(cause, guardEndMs);
    }
  }

  async #openLease(): Promise<boolean> {
    const { clock, directory, leaseMs, acknowledge } = this.#options;
    await acknowledge(this.#id);
    const sentMonotonicMs = clock.monotonicMs();
    const sentWallMs = clock.wallMs();
    try {
      if (!(await directory.openLease(this.#lease(), leaseMs))) {
        // Race: an earlier attempt whose answer was lost did write it; taking it as ours would count validity from the wrong moment.
        this.#previousIds.add(this.#id);
        this.#id = mintWorkerId(this.#options.name);
        return false;
      }
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) throw error;
      // Race: it may have been written, unheard. A renewal that found it would go on as if nothing had been replaced, and what waits
      // to be claimed back would wait for ever. A verification that ran meanwhile may have claimed under that id.
      this.#previousIds.add(this.#id);
      this.#id = mintWorkerId(this.#options.name);
      return false;
    }
    this.#setValid(sentMonotonicMs, sentWallMs);
    return true;
  }
}
