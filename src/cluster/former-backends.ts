// Ends backend sessions at places where no backend is configured any more: a reload has removed it or given it another URL, or a job
// was queued under a configuration of before a restart. The place is sealed in the job, so it was configured once.
import { LRUCache } from 'lru-cache';
import type { Backend } from '../backends/backend.js';
import type { Credentials } from '../backends/credentials/credentials.js';
import { HttpBackend } from '../backends/http/http-backend.js';
import { placeOf } from '../backends/http/sealed-session.js';
import type { BackendConfig, Config, HttpBackendConfig } from '../config/schema.js';
import type { Clock } from '../lifecycle/clock.js';
import type { Keyring } from '../secrets/keyring.js';

export interface FormerBackendsParts {
  readonly config: () => Config;
  readonly backend: (name: string) => Backend | undefined;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly version: string;
  /** By what it proves who it is, where that changes while sessions live. */
  readonly credentialsOf: (name: string, config: HttpBackendConfig) => Credentials;
}

/** Idle connections close by themselves after seconds. */
const MAX_PLACES = 32;
/** Of the DELETEs that still run at a place that is forgotten: they take seconds at most. */
const CLOSE_AFTER_MS = 60_000;

export class FormerBackends {
  readonly #parts: FormerBackendsParts;
  readonly #places: LRUCache<string, Backend>;
  /** As backends were configured that a reload has removed or moved, by place: their credentials are sealed nowhere. */
  readonly #configs = new LRUCache<string, HttpBackendConfig>({ max: MAX_PLACES });

  constructor(parts: FormerBackendsParts) {
    this.#parts = parts;
    this.#places = new LRUCache({
      max: MAX_PLACES,
      dispose: (backend) => void parts.clock.after(CLOSE_AFTER_MS, () => void backend.close()),
    });
  }

  /** A reload has removed it, or moved it elsewhere. */
  remember(config: BackendConfig | undefined): void {
    if (config?.type !== 'http') return;
    const place = placeOf(config.url);
    this.#configs.set(place, config);
    this.#places.delete(place);
  }

  /** Who ends a backend session that was opened at `url`; without one, the backend of that name. */
  find(name: string, url: string | undefined): Backend | undefined {
    const { config, backend } = this.#parts;
    const configured = config().mcpServers[name];
    if (url === undefined || (configured?.type === 'http' && placeOf(configured.url) === url)) return backend(name);
    // Under another name, perhaps.
    for (const [other, { type, ...rest }] of Object.entries(config().mcpServers))
      if (type === 'http' && 'url' in rest && placeOf(rest.url) === url) return backend(other);
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
    const { config, keyring, clock, version, credentialsOf } = this.#parts;
    const { limits } = config();
    const known = this.#configs.get(url);
    if (known) {
      return new HttpBackend({ name, config: known, limits, keyring, clock, version, credentials: credentialsOf(name, known) });
    }
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
