// The configuration as the primary has it: what is in force, how a changed one gets there, and what the primary itself takes from it.
import type { AdminAnswer } from '../admin/admin-request.js';
import { hideInUrls } from '../admin/describe-config.js';
import type { LoadedConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { type HostGuard, makeHostGuard } from '../edge/host-guard.js';
import { EXIT, StartError } from '../errors/start-error.js';
import type { Clock } from '../lifecycle/clock.js';
import type { Logger } from '../observability/log.js';
import { ConfigReload, type ReloadingWorker } from './config-reload.js';
import { ConfigWatch } from './config-watch.js';
import { ReloadMetrics } from './reload-metrics.js';

export interface PrimaryConfigParts {
  readonly config: Config;
  /** Of it: values that are shown nowhere. */
  readonly secrets: readonly string[];
  readonly file: string | undefined;
  /** Reads the file again. */
  readonly load: (() => LoadedConfig) | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly workers: () => readonly ReloadingWorker[];
}

export class PrimaryConfig {
  readonly reload: ConfigReload;
  readonly metrics: ReloadMetrics;
  /** Of the admin listener, as it is in force. */
  readonly adminGuard: HostGuard = {
    isHostAllowed: (host) => this.#guard().isHostAllowed(host),
    isOriginAllowed: (origin) => this.#guard().isOriginAllowed(origin),
  };
  readonly #parts: PrimaryConfigParts;
  #made: { readonly of: Config; readonly guard: HostGuard } | undefined;

  constructor(parts: PrimaryConfigParts) {
    this.#parts = parts;
    this.metrics = new ReloadMetrics(parts.clock);
    this.reload = new ConfigReload({
      ...parts,
      running: parts.config,
      load: () => {
        if (!parts.load) throw new StartError(EXIT.config, 'it was not read from a file');
        return parts.load();
      },
      onOutcome: (outcome) => this.metrics.note(outcome),
    });
  }

  get current(): Config {
    return this.reload.config;
  }

  /** Backends as workers describe them: URLs hold secrets that only who reads the configuration knows as such. */
  withoutSecrets(answer: AdminAnswer): AdminAnswer {
    const { secrets } = this.reload;
    return secrets.length > 0 ? { ...answer, body: hideInUrls(answer.body, secrets) } : answer;
  }

  /** Follows the file from now on, what changed since it was read included. @returns ends it */
  async watch(): Promise<() => void> {
    const { file, load, clock } = this.#parts;
    if (file === undefined || !load) return () => undefined;
    const onChanged = () => void this.reload.request('file');
    const watch = new ConfigWatch({ file, clock, onChanged });
    await watch.start();
    onChanged();
    return () => watch.stop();
  }

  /**
   * Made anew only when a reload brought another configuration. Loopback names are allowed wherever it listens: no page of an attacker is
   * served under them, and the CLI in the same pod uses them.
   */
  #guard(): HostGuard {
    const of = this.current;
    if (this.#made?.of !== of) this.#made = { of, guard: makeHostGuard(guardedNames(of), '127.0.0.1:0') };
    return this.#made.guard;
  }
}

/** Without a token the names are all that keeps a page of a stranger's (DNS rebinding) from reading the admin API: not any name will do. */
function guardedNames(config: Config): Config {
  return config.admin.token === '' ? { ...config, hosts: config.hosts.filter((host) => host !== '*') } : config;
}
