// A configured command: makes one child per session that uses it.
import type { Config, StdioBackendConfig } from '../../config/schema.js';
import type { Clock } from '../../lifecycle/clock.js';
import { inheritedEnvironment } from '../../lifecycle/inherited-environment.js';
import type { ProcessGroup } from '../../lifecycle/process-group.js';
import type { Keyring } from '../../secrets/keyring.js';
import { ChannelBackend } from '../channel/channel-backend.js';
import { ChildLog, type StdioLogger } from './child-log.js';
import { Pipe } from './pipe.js';

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

/** Its `close` takes STDIN_GRACE_MS + TERM_GRACE_MS at most: then no process of the children's groups is left. */
export class StdioBackend extends ChannelBackend {
  constructor(options: StdioBackendOptions) {
    const { name, config, keyring, clock, logger, onGroup, limits, version } = options;
    const { command, args, cwd, env } = config;
    const environment = { ...inheritedEnvironment(options.gatewayEnvironment), ...env };
    super({
      name,
      transport: 'stdio',
      onStateLoss: config.onStateLoss,
      timeoutMs: config.timeout,
      startTimeoutMs: limits.startTimeout,
      keyring,
      clock,
      clientInfo: { name: 'berth', version },
      lossByTakeOver: 'the process ended with its worker',
      open: ({ host, onLost }) =>
        new Pipe({
          backend: name,
          command: { command, args, cwd, env: environment },
          clock,
          log: new ChildLog({ sessionRef: host.sessionRef, env, clock, logger }),
          host,
          onGroup,
          onLost,
        }),
    });
  }
}
