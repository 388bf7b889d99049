// Ends backend sessions at places where no backend is configured any more: a reload has removed it or given it another URL, or a job
// was queued under a configuration of before a restart. The place is sealed in the job, so it was configured once.
import { LRUCache } from 'lru-cache';
import type { Backend } from '../backends/backend.js';
import { HttpBackend } from '../backends/http/http-backend.js';
import { placeOf } from '../backends/http/sealed-session.js';
import type { Config } from '../config/schema.js';
import type { Clock } from '../lifecycle/clock.js';
import type { Keyring } from '../secrets/keyring.js';

export interface FormerBackendsParts {
  readonly config: () => Config;
  readonly backend: (name: string) => Backend | undefined;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly version: string;
}

/** Idle connections close by themselves after seconds. */
const MAX_PLACES = 32;
/** Of the DELETEs that still run at a place that is forgotten: they take seconds at most. */
const CLOSE_AFTER_MS = 60_000;

export class FormerBackends {
  readonly #parts: FormerBackendsParts;
  readonly #places: LRUCache<string, Backend>;

  constructor(parts: FormerBackendsParts) {
    this.#parts = parts;
    this.#places = new LRUCache({
      max: MAX_PLACES,
      dispose: (backend) => void parts.clock.after(CLOSE_AFTER_MS, () => void backend.close()),
    });
  }

  /** Who ends a backend session that was opened at `url`; without one, the backend of that name. */
  find(name: string, url: string | undefined): Backend | undefined {
    const { config, backend } = this.#parts;
    const configured = config().mcpServers[name];
    if (url === undefined || (configured && 'url' in configured && placeOf(configured.url) === url)) return backend(name);
    let place = this.#places.get(url);
    if (!place) {
      place = this.#make(name, url);
      this.#places.set(url, place);
    }
    return place;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#places.values()].map((backend) => backend.close()));
  }

  #make(name: string, url: string): Backend {
    const { config, keyring, clock, version } = this.#parts;
    const { limits } = config();
    return new HttpBackend({
      name,
      config: {
        type: 'http',
        url,
        headers: {},
        forwardHeaders: [],
        timeout: limits.requestTimeout,
        onStateLoss: 'fail',
        keepAlive: 0,
      },
      limits,
      keyring,
      clock,
      version,
    });
  }
}
