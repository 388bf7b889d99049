// How many connections of clients a worker holds. One too many is told so instead of being cut: its first request gets an answer, and the
// connection ends with it. Only behind a reserve for those is a connection closed without a word.
import { GatewayError } from '../errors/gateway-error.js';

/** The part of a socket that is looked at. */
export type CountedSocket = {
  destroy(): unknown;
  once(event: 'close', listener: () => void): unknown;
};

/** Silent ones end after 30 s (`headersTimeout`), others with their first answer. */
const RESERVE = 1000;

export const TOO_MANY_CONNECTIONS = new GatewayError('OVERLOADED', { details: { reason: 'connections' } });

export class Connections {
  readonly #max: () => number;
  readonly #onCut: () => void;
  readonly #excess = new Set<CountedSocket>();
  #open = 0;

  /** @param max `limits.connections` @param onCut one was closed without a word */
  constructor(max: () => number, onCut: () => void) {
    this.#max = max;
    this.#onCut = onCut;
  }

  get open(): number {
    return this.#open;
  }

  /** @returns false if it was closed */
  count(socket: CountedSocket): boolean {
    const max = this.#max();
    if (this.#open >= max + RESERVE) {
      this.#onCut();
      socket.destroy();
      return false;
    }
    this.#open += 1;
    const isExcess = this.#open > max;
    if (isExcess) this.#excess.add(socket);
    socket.once('close', () => {
      this.#open -= 1;
      if (isExcess) this.#excess.delete(socket);
    });
    return true;
  }

  /** Whether it came when there were enough. */
  isExcess(socket: CountedSocket): boolean {
    return this.#excess.size > 0 && this.#excess.has(socket);
  }
}
