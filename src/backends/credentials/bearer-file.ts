// A bearer token in a file that something else renews. Kept in memory; looked after on a ticker, and at once after a 401. What was
// read last is kept while the file is missing: a token that may still be good is better than none.
import type { Clock, Timer } from '../../lifecycle/clock.js';
import { type CredentialLogger, type Credentials, isToken, noCredential } from './credentials.js';
import { readSmallFile } from './read-small-file.js';

const CHECK_EVERY_MS = 2000;

export interface BearerFileOptions {
  readonly backend: string;
  /** Absolute. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: CredentialLogger | undefined;
}

export class BearerFile implements Credentials {
  readonly isDynamic = true;
  readonly #options: BearerFileOptions;
  readonly #ticker: Timer;
  #header: string | undefined;
  #mark: string | undefined;
  #checking: Promise<void> | undefined;
  /** What is wrong with the file now; told once. */
  #why: string | undefined;

  /** Begins to read; a missing file is a warning, because what writes it may start later than the gateway. */
  constructor(options: BearerFileOptions) {
    this.#options = options;
    this.#ticker = options.clock.every(CHECK_EVERY_MS, () => void this.#check());
    void this.#check();
  }

  get problem(): string | undefined {
    return this.#header === undefined && this.#why !== undefined ? 'credential_unavailable' : undefined;
  }

  current(): string | undefined {
    return this.#header;
  }

  /** Waits for a check that is under way, also where there is a value: after a 401 it may bring the next one. */
  async ensure(): Promise<string> {
    if (this.#checking) await this.#checking;
    else if (this.#header === undefined) await this.#check();
    if (this.#header === undefined) throw noCredential(this.#options.backend, 'credential_unavailable', { cause: this.#why });
    return this.#header;
  }

  refuse(value: string): void {
    if (value === this.#header) void this.#check();
  }

  close(): void {
    this.#ticker.cancel();
  }

  #check(): Promise<void> {
    this.#checking ??= this.#read().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #read(): Promise<void> {
    const { backend, path, logger } = this.#options;
    const found = await readSmallFile(path, this.#mark);
    if (found.kind === 'same') return;
    if (found.kind === 'read' && isToken(found.text)) {
      const header = `Bearer ${found.text}`;
      if (this.#header !== undefined && header !== this.#header) logger?.info({ backend }, 'the bearer token was read anew');
      this.#header = header;
      this.#mark = found.mark;
      this.#why = undefined;
      return;
    }
    const why = found.kind === 'unusable' ? found.why : 'no_token';
    // Also where the old content comes back unchanged, it is news then.
    this.#mark = undefined;
    if (why === this.#why) return;
    this.#why = why;
    const kept = this.#header === undefined ? 'the backend cannot be used' : 'the last token stays in use';
    logger?.warn({ backend, path, why }, `the bearer file is unusable: ${kept}`);
  }
}
