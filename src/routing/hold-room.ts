// Where requests wait for an owner or for Redis instead of failing. Bounded in number, in bytes and in time; one timer and
// one probe for each cause, whatever the number of those that wait for it: they are woken when the probe has news. A few of them look
// for themselves at each tick, since a record may change where no probe sees it.
import { GatewayError } from '../errors/gateway-error.js';
import type { Clock } from '../lifecycle/clock.js';
import type { HoldCause, Probe, ProbeResult } from './probe.js';

const MAX_REQUESTS = 1000;
const MAX_BYTES = 32 * 1024 * 1024;
/** The first look comes soon: a crashed worker's lease is deleted within milliseconds. */
const FIRST_TICK_MS = 20;
/** Between two looks at one cause, ms. */
export const MAX_TICK_MS = 400;
/** A cause that nobody waited for so long starts from the first tick again. */
const FORGET_MS = 2000;
/** Sessions whose requests look for themselves at one tick: a constant, so that Redis does not feel how many are held. */
const LOOKS_PER_TICK = 16;

/** `go`: the probe said so; it need not be believed a second time. */
export type Woken = 'go' | 'news' | 'look' | 'due';

export interface Wait {
  /** Requests of one key read the same things: they look together. */
  readonly key: unknown;
  /** Monotonic: when it must be woken, whatever the probe says (at the next tick). */
  readonly untilMs: number;
  /** It went on a `go` of this cause before, in vain. */
  readonly hasGone: boolean;
}

interface Waiter extends Wait {
  readonly wake: (how: Woken) => void;
}

interface Cause {
  delayMs: number;
  lastMs: number;
  isArmed: boolean;
  isDueArmed: boolean;
  isProbing: boolean;
  /** What the last probe saw. */
  state: string | undefined;
  waiting: Set<Waiter>;
}

export class HoldRoom {
  readonly #clock: Clock;
  readonly #probe: Probe;
  readonly #causes = new Map<HoldCause, Cause>();
  #requests = 0;
  #bytes = 0;

  constructor(clock: Clock, probe: Probe) {
    this.#clock = clock;
    this.#probe = probe;
  }

  get size(): number {
    return this.#requests;
  }

  /** Causes that are remembered; bounded, since at most so many requests wait. */
  get causes(): number {
    return this.#causes.size;
  }

  /**
   * A place for one request; call the returned function when it leaves.
   * @throws GatewayError HOLD_FULL
   */
  enter(bytes: number): () => void {
    if (this.#requests >= MAX_REQUESTS || this.#bytes + bytes > MAX_BYTES) throw new GatewayError('HOLD_FULL');
    this.#requests++;
    this.#bytes += bytes;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#requests--;
      this.#bytes -= bytes;
    };
  }

  /** `woken` resolves when it is time to look again; `leave` makes it do so now. For whoever has a place. */
  wait(name: HoldCause, wait: Wait): { readonly woken: Promise<Woken>; leave(): void } {
    const cause = this.#causeOf(name);
    let leave: () => void = () => undefined;
    const woken = new Promise<Woken>((resolve) => {
      const waiter: Waiter = {
        ...wait,
        wake: (how) => {
          if (cause.waiting.delete(waiter)) resolve(how);
        },
      };
      leave = () => waiter.wake('due');
      cause.waiting.add(waiter);
    });
    this.#arm(name, cause);
    return { woken, leave };
  }

  /** Of these keys something is known that no probe sees. */
  wake(isMeant: (key: unknown) => boolean): void {
    for (const { waiting } of this.#causes.values()) {
      for (const waiter of [...waiting]) if (isMeant(waiter.key)) waiter.wake('news');
    }
  }

  #causeOf(name: HoldCause): Cause {
    const now = this.#clock.monotonicMs();
    const known = this.#causes.get(name);
    if (known && (known.waiting.size > 0 || now - known.lastMs <= FORGET_MS)) return known;
    if (this.#causes.size >= MAX_REQUESTS) this.#forgetIdle();
    const cause = {
      ...{ delayMs: FIRST_TICK_MS, lastMs: now, state: undefined, waiting: new Set<Waiter>() },
      // A timer or a probe of the forgotten one may still be on its way; it finds nobody.
      ...{ isArmed: false, isDueArmed: false, isProbing: false },
    };
    this.#causes.set(name, cause);
    return cause;
  }

  #forgetIdle(): void {
    for (const [name, cause] of this.#causes) if (cause.waiting.size === 0) this.#causes.delete(name);
  }

  /** The timer goes on while the probe runs: a silent Redis must not keep a request beyond its time. */
  #arm(name: HoldCause, cause: Cause): void {
    if (cause.isArmed) return;
    cause.isArmed = true;
    this.#clock.after(cause.delayMs, () => {
      cause.isArmed = false;
      if (cause.waiting.size === 0) return;
      const now = this.#clock.monotonicMs();
      cause.lastMs = now;
      cause.delayMs = Math.min(cause.delayMs * 1.5, MAX_TICK_MS);
      this.#wakeDue(cause);
      if (!cause.isProbing) void this.#look(name, cause);
      if (cause.waiting.size > 0) this.#arm(name, cause);
    });
  }

  /** Those whose time ends before the next tick are woken when it does, not a tick later; by one timer. */
  #wakeDue(cause: Cause): void {
    const now = this.#clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const waiter of cause.waiting) {
      if (waiter.untilMs <= now) waiter.wake('due');
      else nextMs = Math.min(nextMs, waiter.untilMs);
    }
    if (nextMs > now + cause.delayMs || cause.isDueArmed) return;
    cause.isDueArmed = true;
    this.#clock.after(nextMs - now, () => {
      cause.isDueArmed = false;
      this.#wakeDue(cause);
    });
  }

  async #look(name: HoldCause, cause: Cause): Promise<void> {
    // Race: who comes while the probe runs may have seen what is newer or older than it; the next one speaks of them.
    const present = [...cause.waiting];
    cause.isProbing = true;
    const result = await this.#probe(name).catch(() => undefined);
    cause.isProbing = false;
    if (!result) return;
    wakeBy(result, present, cause.state !== undefined && cause.state !== result.state);
    cause.state = result.state;
  }
}

function wakeBy({ hint }: ProbeResult, present: readonly Waiter[], isNews: boolean): void {
  const lookers = new Set<unknown>();
  for (const waiter of present) {
    if (isNews || hint === 'all') waiter.wake('news');
    else if (hint === 'go' && !waiter.hasGone) waiter.wake('go');
    else if (hint !== 'wait' && (lookers.has(waiter.key) || lookers.size < LOOKS_PER_TICK)) {
      // Who looks in vain comes back behind all others: each has its turn.
      lookers.add(waiter.key);
      waiter.wake('look');
    }
  }
}
