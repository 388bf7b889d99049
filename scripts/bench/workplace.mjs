// Where a program of scripts/ works: a temporary folder and processes of its own. Both are gone when it ends, whichever way it ends.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Processes } from './processes.mjs';

export class Workplace {
  processes = new Processes();
  dir;
  /** The folder stays. */
  isKept = false;
  #hooks;
  #ending;

  /** @param prefix of the folder's name @param hooks `{ first, last }`: what else has to end, before the processes and after them */
  constructor(prefix, hooks = {}) {
    this.dir = mkdtempSync(join(tmpdir(), prefix));
    this.#hooks = hooks;
  }

  /** @returns what `main` does, when all is cleaned up; a signal cleans up as well, and exits with 1 */
  async run(main) {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void this.#end().finally(() => process.exit(1)));
    try {
      return await main();
    } finally {
      await this.#end();
    }
  }

  /** Once: a signal during the end must not begin a second one. */
  #end() {
    this.#ending ??= (async () => {
      await this.#hooks.first?.();
      await this.processes.stop();
      await this.#hooks.last?.();
      if (!this.isKept) rmSync(this.dir, { recursive: true, force: true });
    })();
    return this.#ending;
  }
}
