// Diagnostics on stderr: short, few, and never a token, header value, session id or message.
import type { Clock } from '../lifecycle/clock.js';

const MAX_IN_WINDOW = 20;
const WINDOW_MS = 10_000;

export class Notes {
  readonly #clock: Clock;
  readonly #write: (text: string) => void;
  #isAway = false;
  #windowEndMs = 0;
  #count = 0;

  constructor(clock: Clock, write: (text: string) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  /** At most 20 lines in 10 s. */
  tell(text: string): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#windowEndMs) {
      this.#windowEndMs = nowMs + WINDOW_MS;
      this.#count = 0;
    }
    this.#count++;
    if (this.#count <= MAX_IN_WINDOW) this.#write(`berth stdio: ${text}\n`);
    else if (this.#count === MAX_IN_WINDOW + 1) this.#write('berth stdio: … more of that is not told for 10 s\n');
  }

  /** The gateway cannot be used now: told once, until it is back. */
  away(reason: string): void {
    if (this.#isAway) return;
    this.#isAway = true;
    this.tell(`the gateway is away (${reason}); trying again`);
  }

  back(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.tell('the gateway is back');
  }
}
