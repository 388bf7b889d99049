// A configured command: makes one child per session that uses it, and sees to it that all of them end.
import type { Config, StdioBackendConfig } from '../../config/schema.js';
import type { BackendSessionRecord } from '../../directory/directory.js';
import type { Clock } from '../../lifecycle/clock.js';
import { inheritedEnvironment } from '../../lifecycle/inherited-environment.js';
import type { ProcessGroup } from '../../lifecycle/process-group.js';
import type { Implementation } from '../../protocol/mcp.js';
import type { Keyring } from '../../secrets/keyring.js';
import type { Backend, BackendInfo, BackendSession, BackendSessionHost } from '../backend.js';
import type { StdioLogger } from './child-log.js';
import { unavailable } from './failures.js';
import { StdioBackendSession } from './stdio-session.js';

export interface StdioBackendOptions {
  readonly name: string;
  readonly config: StdioBackendConfig;
  readonly limits: Pick<Config['limits'], 'startTimeout'>;
  readonly keyring: Keyring;
  readonly clock: Clock;
  /** Version that `clientInfo` tells the backend. */
  readonly version: string;
  /** Whole; only what inheritedEnvironment() lets through reaches a child. */
  readonly gatewayEnvironment: Readonly<Record<string, string | undefined>>;
  /** A child was started (before anything is written to it), or nothing of its group is left: the primary has to know. */
  readonly onGroup: (group: ProcessGroup, alive: boolean) => void;
  /** Bound to the backend's name. */
  readonly logger?: StdioLogger;
}

/** What the sessions of one backend share. */
export interface StdioParts {
  readonly name: string;
  readonly config: StdioBackendConfig;
  readonly startTimeoutMs: number;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly clientInfo: Implementation;
  /** The child's, whole. */
  readonly environment: Readonly<Record<string, string>>;
  readonly logger: StdioLogger | undefined;
  readonly onGroup: (group: ProcessGroup, alive: boolean) => void;
  readonly onInfo: (info: BackendInfo) => void;
  /** A session has started a child; `gone` resolves when nothing of it is left. */
  readonly watch: (session: StdioBackendSession, gone: Promise<void>) => void;
}

export class StdioBackend implements Backend {
  readonly name: string;
  /** Teardown has nothing to end: the process ends with the session. */
  readonly end = undefined;
  readonly #parts: StdioParts;
  readonly #children = new Map<Promise<void>, StdioBackendSession>();
  #lastInfo: BackendInfo | undefined;

  constructor(options: StdioBackendOptions) {
    const { name, config, keyring, clock, logger, onGroup } = options;
    this.name = name;
    this.#parts = {
      name,
      config,
      keyring,
      clock,
      logger,
      onGroup,
      startTimeoutMs: options.limits.startTimeout,
      clientInfo: { name: 'berth', version: options.version },
      environment: { ...inheritedEnvironment(options.gatewayEnvironment), ...config.env },
      onInfo: (info) => {
        this.#lastInfo = info;
      },
      watch: (session, gone) => {
        this.#children.set(gone, session);
        gone.then(() => this.#children.delete(gone));
      },
    };
  }

  get lastInfo(): BackendInfo | undefined {
    return this.#lastInfo;
  }

  createSession(host: BackendSessionHost, record: BackendSessionRecord | undefined): BackendSession {
    return new StdioBackendSession(this.#parts, host, record);
  }

  /** Ends every child. Resolves when no process of their groups is left, which takes STDIN_GRACE_MS + TERM_GRACE_MS at most. */
  async close(): Promise<void> {
    for (const session of this.#children.values()) session.close(unavailable(this.name, 'removed'));
    await Promise.all(this.#children.keys());
  }
}
