// Makes the backends of the configuration, each by its kind.
import type { Backend } from '../backends/backend.js';
import { type CredentialParts, makeCredentials } from '../backends/credentials/make-credentials.js';
import type { CallQueues } from '../backends/http/call-queue.js';
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
  readonly callQueues: CallQueues;
}

export function makeBackends(parts: BackendParts): Map<string, Backend> {
  const { config, keyring, clock, log, version, gatewayEnvironment, onGroup, watch, tokens, callQueues } = parts;
  const { limits } = config;
  const credentialsOf = makeCredentialsOf({ keyring, clock, log, tokens, limits });
  const backends = new Map<string, Backend>();
  for (const [name, backend] of Object.entries(config.mcpServers)) {
    const logger = log.child({ backend: name });
    const common = { name, keyring, clock, version, logger, limits };
    const reached = { ...common, callQueues };
    const make = (): Backend => {
      switch (backend.type) {
        case 'http':
          return new HttpBackend({ ...reached, config: backend, credentials: credentialsOf(name, backend) });
        case 'sse':
          return new SseBackend({ ...reached, config: backend, credentials: credentialsOf(name, backend) });
        case 'stdio':
          return new StdioBackend({ ...common, config: backend, gatewayEnvironment, onGroup });
      }
    };
    try {
      backends.set(name, watch(make(), backend, limits));
    } catch (error) {
      for (const made of backends.values()) void made.close();
      throw error;
    }
  }
  return backends;
}

/** By what a backend is told who the gateway is. */
export function makeCredentialsOf({
  keyring,
  clock,
  log,
  tokens,
  limits,
}: Pick<BackendParts, 'keyring' | 'clock' | 'log' | 'tokens'> & Pick<Config, 'limits'>) {
  return (name: string, config: CredentialParts['config']) => {
    const logger = log.child({ backend: name });
    return makeCredentials({ name, config, connectTimeoutMs: limits.connectTimeout, keyring, clock, logger, tokens });
  };
}
