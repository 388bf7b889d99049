// How a draining worker lets the connections of its clients go. A request that is sent in the moment in which its connection is closed
// fails, and no client may send it again. So a connection is closed only after one of its answers has said `connection: close`, or
// after it was silent for a while.
import type { Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import type { Clock } from '../lifecycle/clock.js';

/** A connection that is used at least so often hears from its own answer that it is over. */
const LAST_WORD_MS = 1000;

/** An answer whose head has left. */
export interface BegunAnswer {
  /** All of it was written, or its connection is gone. */
  readonly finished: boolean;
}

export class LastWord {
  readonly #server: Server;
  readonly #clock: Clock;
  /** Their heads could not say it; what their connections bring afterwards will be told. */
  #untold: readonly BegunAnswer[];
  #silentFromMs: number;
  #mayCome = true;
  #closing = false;

  /**
   * To be made when answers begin to say it.
   * @param begun those that began before
   */
  constructor(server: Server, clock: Clock, begun: readonly BegunAnswer[]) {
    this.#server = server;
    this.#clock = clock;
    this.#untold = begun;
    this.#silentFromMs = clock.monotonicMs();
  }

  /** Accepts no more connections, and leaves those that are open. */
  stopAccepting(): void {
    this.#server.once('close', () => {
      this.#mayCome = false;
    });
    // Right after the loop has taken what waits: where each worker has a listener of its own, the rest is reset with it. Not http's own
    // close, which ends idle connections as well.
    setImmediate(() => NetServer.prototype.close.call(this.#server));
  }

  /** Whether requests can still come over open connections. To be asked often: it closes the idle ones when it is time. */
  mayCome(): boolean {
    const untold = this.#untold.filter(({ finished }) => !finished);
    // A client in steady use sends its next request over the connection that is free again, right now.
    if (untold.length < this.#untold.length) this.#silentFromMs = this.#clock.monotonicMs();
    this.#untold = untold;
    const isSilent = this.#clock.monotonicMs() - this.#silentFromMs >= LAST_WORD_MS;
    if (untold.length === 0 && isSilent && this.#mayCome && !this.#closing) {
      this.#closing = true;
      // Right after the loop has read what had arrived: what is closed then has sent nothing that we could know of.
      setImmediate(() => {
        this.#server.closeIdleConnections();
        this.#mayCome = false;
      });
    }
    return this.#mayCome;
  }
}
