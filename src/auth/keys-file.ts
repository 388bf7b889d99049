// Follows the keys file. Looked at again and again rather than watched: notifications of a file system get lost with networked and
// mounted ones, and with files that are replaced by renaming (how editors and Kubernetes write them).
import { readFile, stat } from 'node:fs/promises';
import { findDouble, parseKeys, UnusableKeys } from '../config/auth-keys.js';
import type { KeyEntry } from '../config/schema-auth.js';
import type { Clock, Timer } from '../lifecycle/clock.js';

export interface KeysFileParts {
  /** Absolute. */
  readonly file: string;
  /** `auth.keys`: what stands there may not stand in the file as well. */
  readonly fixed: readonly KeyEntry[];
  readonly clock: Clock;
  /** A usable file was read; all of its entries. */
  readonly onRead: (entries: readonly KeyEntry[]) => void;
  /** The file of now cannot be used; once per state of it. */
  readonly onBad: (reason: string) => void;
}

const LOOK_MS = 1000;

export class KeysFile {
  readonly #parts: KeysFileParts;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  /** State of the file at the last look. */
  #seen = '';
  /** State of the file that was read, or found bad. */
  #handled = '';

  constructor(parts: KeysFileParts) {
    this.#parts = parts;
  }

  /** Reads it, and looks for changes from then on. Never rejects. */
  async start(): Promise<void> {
    const state = await this.#readState();
    this.#seen = state;
    await this.#handle(state);
    this.#timer = this.#parts.clock.every(LOOK_MS, () => void this.look());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** One look; resolves when it is over. A change counts when two looks find the same: a file may be in the middle of being written. */
  look(): Promise<void> {
    this.#running ??= this.#look().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #look(): Promise<void> {
    const state = await this.#readState();
    const isQuiet = state === this.#seen;
    this.#seen = state;
    if (isQuiet && state !== this.#handled) await this.#handle(state);
  }

  /** Changes with the file: time, size and, for one that was put in its place, inode. */
  async #readState(): Promise<string> {
    try {
      const { mtimeNs, ctimeNs, size, ino, dev } = await stat(this.#parts.file, { bigint: true });
      return [mtimeNs, ctimeNs, size, ino, dev].join(' ');
    } catch (error) {
      return `missing: ${(error as NodeJS.ErrnoException).code ?? String(error)}`;
    }
  }

  async #handle(state: string): Promise<void> {
    const { file, fixed, onRead, onBad } = this.#parts;
    try {
      const entries = parseKeys(await readFile(file, 'utf8'), file);
      // Race: it changed while it was read. The next looks see that.
      if ((await this.#readState()) !== state) return;
      this.#handled = state;
      const double = findDouble([...fixed, ...entries]);
      if (double) onBad(double);
      else onRead(entries);
    } catch (error) {
      this.#handled = state;
      onBad(error instanceof UnusableKeys ? error.message : ((error as NodeJS.ErrnoException).code ?? String(error)));
    }
  }
}
