// The internal listener of a worker over its life: the one that serves, and those that it replaced and that still answer what they took.
import type { Lease } from '../directory/directory.js';
import type { InternalListener } from '../forward/forward.js';
import { MAX_TIMER_MS } from '../lifecycle/clock.js';

/** Replaced listeners whose last requests are not answered yet; beyond that the oldest is cut off. */
const MAX_RETIRED = 4;
/** Streams may last for days, and a replaced listener costs nothing. */
const UNTIL_EMPTY_MS = MAX_TIMER_MS;

/** As the lease holds them. */
export type InternalAddresses = Pick<Lease, 'unixSocket' | 'tcp'>;

export interface KeptListenerOptions {
  /** @param turn counts from 0: each has a path of its own */
  listen(turn: number): Promise<InternalListener>;
  /** Tells the other workers. */
  publish(addresses: InternalAddresses): Promise<void>;
}

export class KeptListener {
  readonly #options: KeptListenerOptions;
  #current: InternalListener;
  #turn = 0;
  #retired: InternalListener[] = [];
  #closing = false;

  private constructor(options: KeptListenerOptions, first: InternalListener) {
    this.#options = options;
    this.#current = first;
  }

  /** @throws StartError 69 */
  static async open(options: KeptListenerOptions): Promise<KeptListener> {
    return new KeptListener(options, await options.listen(0));
  }

  get addresses(): InternalAddresses {
    const { unixSocket, tcp } = this.#current;
    return { unixSocket, ...(tcp ? { tcp } : {}) };
  }

  /**
   * Listens at new addresses and then lets the old ones go. In this order nobody is turned away: who still comes to the old ones is
   * told that nothing has begun, and finds the new ones in the lease.
   * @throws StartError when nothing can be listened on
   */
  async renew(): Promise<void> {
    const old = this.#current;
    this.#turn++;
    const fresh = await this.#options.listen(this.#turn).catch(() => {
      // Each port of `internal.port` may be taken, one of them by ourselves.
      old.drain();
      return this.#options.listen(this.#turn);
    });
    if (this.#closing) return fresh.close(0);
    this.#current = fresh;
    await this.#options.publish(this.addresses);
    if (this.#retired.length >= MAX_RETIRED) void this.#retired.shift()?.close(0);
    this.#retired.push(old);
    void old.close(UNTIL_EMPTY_MS).then(() => {
      this.#retired = this.#retired.filter((one) => one !== old);
    });
  }

  /** Ends after open requests are answered or `withinMs` went by. */
  async close(withinMs: number): Promise<void> {
    this.#closing = true;
    await Promise.all([this.#current, ...this.#retired].map((listener) => listener.close(withinMs)));
  }
}
