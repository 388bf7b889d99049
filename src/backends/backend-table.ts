// The backends of the configuration in force, by name: a live view, so that whoever asks gets what a reload has put there. Former ones
// stay until no session uses them, since calls that began in them end there.
import type { Backend } from './backend.js';

export class BackendTable {
  #current: ReadonlyMap<string, Backend>;
  /** Each with when it became one, monotonic ms. */
  readonly #former = new Map<Backend, number>();

  readonly #onChange: (backends: ReadonlyMap<string, Backend>) => void;

  /** @param onChange told of the backends in force, these and all that replace them */
  constructor(
    backends: ReadonlyMap<string, Backend>,
    onChange: (backends: ReadonlyMap<string, Backend>) => void = () => undefined,
  ) {
    this.#current = backends;
    this.#onChange = onChange;
    onChange(backends);
  }

  get(name: string): Backend | undefined {
    return this.#current.get(name);
  }

  /** What is not in it any more becomes a former backend. */
  replace(backends: ReadonlyMap<string, Backend>, nowMs: number): void {
    const kept = new Set(backends.values());
    for (const backend of this.#current.values()) if (!kept.has(backend)) this.#former.set(backend, nowMs);
    this.#current = backends;
    this.#onChange(backends);
  }

  get hasFormer(): boolean {
    return this.#former.size > 0;
  }

  /**
   * Closes former backends.
   * @param used by sessions: these stay
   * @param sinceMs former ones of after that stay as well: what was given up there may still end in order
   */
  async closeUnused(used: ReadonlySet<Backend>, sinceMs: number): Promise<void> {
    const unused = [...this.#former].flatMap(([backend, ms]) => (used.has(backend) || ms > sinceMs ? [] : [backend]));
    for (const backend of unused) this.#former.delete(backend);
    await Promise.all(unused.map((backend) => backend.close()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#current.values(), ...this.#former.keys()].map((backend) => backend.close()));
    this.#former.clear();
  }
}
