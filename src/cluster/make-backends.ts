// Makes the backends of the configuration, each by its kind.
import type { Backend } from '../backends/backend.js';
import { type CredentialParts, makeCredentials } from '../backends/credentials/make-credentials.js';
import { HttpBackend } from '../backends/http/http-backend.js';
import { SseBackend } from '../backends/sse/sse-backend.js';
import { StdioBackend } from '../backends/stdio/stdio-backend.js';
import type { Config } from '../config/schema.js';
import type { Clock } from '../lifecycle/clock.js';
import type { Logger } from '../observability/log.js';
import type { Keyring } from '../secrets/keyring.js';
import type { Health } from './make-health.js';
import type { Tokens } from './make-tokens.js';
import type { StdioGroup } from './messages.js';

export interface BackendParts {
  readonly config: Config;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly log: Logger;
  readonly version: string;
  readonly gatewayEnvironment: Readonly<Record<string, string | undefined>>;
  readonly onGroup: (group: StdioGroup, alive: boolean) => void;
  /** Puts a backend behind its breaker. */
  readonly watch: Health['watch'];
  readonly tokens: Tokens;
}

export function makeBackends(parts: BackendParts): Map<string, Backend> {
  const { config, keyring, clock, log, version, gatewayEnvironment, onGroup, watch, tokens } = parts;
  const { limits } = config;
  const backends = new Map<string, Backend>();
  for (const [name, backend] of Object.entries(config.mcpServers)) {
    const logger = log.child({ backend: name });
    const common = { name, keyring, clock, version, logger, limits };
    const credentialsOf = (config: CredentialParts['config']) =>
      makeCredentials({ name, config, connectTimeoutMs: limits.connectTimeout, keyring, clock, logger, tokens });
    const make = (): Backend => {
      switch (backend.type) {
        case 'http':
          return new HttpBackend({ ...common, config: backend, credentials: credentialsOf(backend) });
        case 'sse':
          return new SseBackend({ ...common, config: backend, credentials: credentialsOf(backend) });
        case 'stdio':
          return new StdioBackend({ ...common, config: backend, gatewayEnvironment, onGroup });
      }
    };
    backends.set(name, watch(make(), backend));
  }
  return backends;
}
