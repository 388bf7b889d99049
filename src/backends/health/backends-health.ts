// The health of all backends of this worker.
import type { Backend } from '../backend.js';
import { BackendHealth, type HealthParts, type WatchOptions } from './backend-health.js';
import type { BackendStatus, HealthView } from './status.js';

export class BackendsHealth implements HealthView {
  readonly #parts: HealthParts;
  /** In force, by name. */
  readonly #all = new Map<string, BackendHealth>();
  readonly #made = new WeakMap<Backend, BackendHealth>();

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  /** @returns what is to be used instead of the backend. It counts once it is in force (`follow`): a reload may yet be given up. */
  watch(backend: Backend, options: WatchOptions): Backend {
    const health = new BackendHealth(backend, this.#parts, options);
    this.#made.set(health.backend, health);
    return health.backend;
  }

  /**
   * These are in force from now on, and no others.
   * @returns the names of those that were not before
   */
  follow(backends: ReadonlyMap<string, Backend>): string[] {
    const isNew: string[] = [];
    for (const [name, health] of this.#all) {
      if (backends.get(name) === health.backend) continue;
      health.close();
      this.#all.delete(name);
    }
    for (const [name, backend] of backends) {
      const health = this.#made.get(backend);
      if (!health || this.#all.has(name)) continue;
      this.#all.set(name, health);
      isNew.push(name);
    }
    return isNew;
  }

  find(name: string): BackendHealth | undefined {
    return this.#all.get(name);
  }

  list(): BackendStatus[] {
    return [...this.#all.values()].map((health) => health.status());
  }

  close(): void {
    for (const health of this.#all.values()) health.close();
  }
}
