// What waits for a child's stdin. The guard is asked right before each write, also for what waited: in between the session may have
// become another worker's.
import type { Writable } from 'node:stream';

/** One line for the child. */
export interface Outgoing {
  /** One message, without the newline. */
  readonly text: Buffer | string;
  /** Asked right before the write: false drops it. */
  isWanted(): boolean;
  /** The guard refused it: nothing was written. */
  onRefused(): void;
  onWritten(): void;
}

/** A child that does not read may make so much wait; beyond that, what comes is refused. */
const MAX_WAITING = 1000;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

const NEWLINE = Buffer.from('\n');

export class Outbox {
  readonly #stdin: () => Writable | undefined;
  readonly #mayAct: () => boolean;
  readonly #waiting: Outgoing[] = [];
  #waitingBytes = 0;
  #isFull = false;

  /**
   * @param stdin undefined once nothing may be written any more: what comes then is dropped (its end is told by the child's)
   * @param mayAct the guard
   */
  constructor(stdin: () => Writable | undefined, mayAct: () => boolean) {
    this.#stdin = stdin;
    this.#mayAct = mayAct;
  }

  /** Writes it, or lets it wait until the child reads. @returns false if too much waits already: then nothing happened */
  push(outgoing: Outgoing): boolean {
    if (!this.#isFull && this.#waiting.length === 0) {
      this.#write(outgoing);
      return true;
    }
    if (this.#waiting.length >= MAX_WAITING || this.#waitingBytes + outgoing.text.length > MAX_WAITING_BYTES) return false;
    this.#waiting.push(outgoing);
    this.#waitingBytes += outgoing.text.length;
    return true;
  }

  /** stdin takes more. */
  flush(): void {
    this.#isFull = false;
    while (!this.#isFull) {
      const outgoing = this.#waiting.shift();
      if (!outgoing) return;
      this.#waitingBytes -= outgoing.text.length;
      this.#write(outgoing);
    }
  }

  #write(outgoing: Outgoing): void {
    const stdin = this.#stdin();
    if (!stdin || !outgoing.isWanted()) return;
    if (!this.#mayAct()) {
      outgoing.onRefused();
      return;
    }
    outgoing.onWritten();
    const { text } = outgoing;
    const line = typeof text === 'string' ? `${text}\n` : Buffer.concat([text, NEWLINE]);
    if (!stdin.write(line)) this.#isFull = true;
  }
}
