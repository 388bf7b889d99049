// A worker whose lease says that it lives must be reachable: it dials its own internal listener as other workers do. If that fails it
// listens anew; if it fails again the worker ends, so that its sessions become free.
import type { DialOptions } from '../forward/dial.js';
import { type ProbeFailure, probeListener } from '../forward/probe.js';
import type { Timer } from '../lifecycle/clock.js';
import { PauseWatch } from '../lifecycle/pause-watch.js';
import type { InternalAddresses } from './kept-listener.js';

export interface SelfProbeOptions extends Pick<DialOptions, 'keyring' | 'clock' | 'limits'> {
  /** `internal.lease`, ms. A probe begins a third of it after the last one, and may take as long. */
  readonly leaseMs: number;
  /** Where other workers are told to come. */
  addresses(): InternalAddresses;
  /** Listens at new addresses and tells the others. */
  listenAnew(): Promise<void>;
  /** The second failure in a row. Nothing is probed any more. */
  onBroken(failure: ProbeFailure): void;
  warn(message: string, details: Record<string, unknown>): void;
}

/** As seen by a worker of the same pod, over the Unix socket, and by one of another, over TLS. */
const OWN = 'own';
const OTHER = 'other';

export class SelfProbe {
  readonly #options: SelfProbeOptions;
  readonly #periodMs: number;
  readonly #pauses: PauseWatch;
  #timer: Timer | undefined;
  #failures = 0;
  #stopped = false;

  constructor(options: SelfProbeOptions) {
    this.#options = options;
    this.#periodMs = options.leaseMs / 3;
    this.#pauses = new PauseWatch(options.clock, this.#periodMs / 4);
  }

  start(): void {
    this.#schedule(this.#periodMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#pauses.stop();
  }

  #schedule(delayMs: number): void {
    if (!this.#stopped) this.#timer = this.#options.clock.after(delayMs, () => void this.#round());
  }

  async #round(): Promise<void> {
    const { clock, listenAnew, onBroken, warn } = this.#options;
    const startedMs = clock.monotonicMs();
    const failure = await this.#probe();
    if (this.#stopped) return;
    if (failure === undefined) {
      this.#failures = 0;
      return this.#schedule(this.#periodMs);
    }
    // Both ends of the probe are this process: while it stood still, neither could serve, and the listener is as good as before.
    if (this.#pauses.pausedSince(startedMs)) return this.#schedule(this.#periodMs / 4);
    this.#failures++;
    if (this.#failures > 1) {
      this.stop();
      return onBroken(failure);
    }
    warn('the internal listener fails its own probe: listening anew', { reason: failure, ...this.#options.addresses() });
    try {
      await listenAnew();
    } catch (error) {
      // What was in the way (descriptors, a port) may be gone by the second probe; if not, that one ends it.
      warn('listening anew failed', { error: String(error) });
    }
    // Sooner than usual: until then the sessions may be out of reach. Not at once: what disturbed the first probe may last.
    this.#schedule(this.#periodMs / 2);
  }

  /** @returns the first failure of any address */
  async #probe(): Promise<ProbeFailure | undefined> {
    const { addresses, keyring, clock, limits } = this.#options;
    const to = { ...addresses(), pod: OWN };
    const dialAs = (ownPod: string) => probeListener(to, { ownPod, keyring, clock, limits, connectTimeoutMs: this.#periodMs });
    const failures = await Promise.all([dialAs(OWN), to.tcp ? dialAs(OTHER) : undefined]);
    return failures.find((failure) => failure !== undefined);
  }
}
