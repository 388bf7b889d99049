// Notices that the configuration file has changed. By looking, not by a watch of the system: those are lost when the file is replaced,
// do not see through the links that Kubernetes swaps for a ConfigMap, and do not exist on network file systems.
import { stat } from 'node:fs/promises';
import type { Clock, Timer } from '../lifecycle/clock.js';

export interface ConfigWatchParts {
  readonly file: string;
  readonly clock: Clock;
  /** It changed, and stayed the same for one further look: who writes it has finished. */
  readonly onChanged: () => void;
  /** Of the file, through all links; undefined: it is not there. Default: its identity, size and time. */
  readonly look?: (file: string) => Promise<string | undefined>;
}

const EVERY_MS = 2000;

export class ConfigWatch {
  readonly #parts: ConfigWatchParts;
  readonly #look: (file: string) => Promise<string | undefined>;
  #timer: Timer | undefined;
  #known: string | undefined;
  #latest: string | undefined;
  #isLooking = false;

  constructor(parts: ConfigWatchParts) {
    this.#parts = parts;
    this.#look = parts.look ?? lookAt;
  }

  /** What the file is now counts as known. */
  async start(): Promise<void> {
    this.#known = await this.#look(this.#parts.file);
    this.#latest = this.#known;
    this.#timer = this.#parts.clock.every(EVERY_MS, () => void this.#poll());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  async #poll(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const now = await this.#look(this.#parts.file);
    this.#isLooking = false;
    const isStable = now === this.#latest;
    this.#latest = now;
    // A file that is not there is on its way, or a mistake that a SIGHUP would tell: what runs goes on.
    if (!isStable || now === undefined || now === this.#known) return;
    this.#known = now;
    this.#parts.onChanged();
  }
}

async function lookAt(file: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeNs } = await stat(file, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}`;
  } catch {
    return undefined;
  }
}
