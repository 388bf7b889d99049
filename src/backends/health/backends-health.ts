// The health of all backends of this worker.
import type { Backend } from '../backend.js';
import { BackendHealth, type HealthParts, type WatchOptions } from './backend-health.js';
import type { BackendStatus, HealthView } from './status.js';

export class BackendsHealth implements HealthView {
  readonly #parts: HealthParts;
  readonly #all = new Map<string, BackendHealth>();

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  /** @returns what is to be used instead of the backend. A backend of the same name that was watched before is not any more. */
  watch(backend: Backend, options: WatchOptions): Backend {
    this.forget(backend.name);
    const health = new BackendHealth(backend, this.#parts, options);
    this.#all.set(backend.name, health);
    return health.backend;
  }

  /** The backend is no longer configured. */
  forget(name: string): void {
    this.#all.get(name)?.close();
    this.#all.delete(name);
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
