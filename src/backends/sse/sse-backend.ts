// A backend that speaks HTTP+SSE (protocol 2024-11-05): makes one event stream per session that uses it.
import type { LookupFunction } from 'node:net';
import type { Config, SseBackendConfig } from '../../config/schema.js';
import type { Clock } from '../../lifecycle/clock.js';
import type { Keyring } from '../../secrets/keyring.js';
import { ChannelBackend } from '../channel/channel-backend.js';
import type { Credentials } from '../credentials/credentials.js';
import type { CallQueues } from '../http/call-queue.js';
import { type BackendLogger, HttpTransport } from '../http/transport.js';
import { SseChannel } from './sse-channel.js';

export interface SseBackendOptions {
  readonly name: string;
  readonly config: SseBackendConfig;
  readonly limits: Pick<Config['limits'], 'startTimeout' | 'connectTimeout' | 'reinitializeTimeout'>;
  readonly keyring: Keyring;
  readonly clock: Clock;
  /** Version that `clientInfo` tells the backend. */
  readonly version: string;
  readonly logger?: BackendLogger;
  /** Closed with the backend; default none besides the configured headers. */
  readonly credentials?: Credentials;
  /** See HttpTransportOptions. */
  readonly callQueues?: CallQueues;
  /** Resolver of names; default the system's. */
  readonly lookup?: LookupFunction;
}

export class SseBackend extends ChannelBackend {
  readonly #transport: HttpTransport;

  /** @throws Error if a configured header cannot be used; names it, never its value */
  constructor(options: SseBackendOptions) {
    const { name, config, limits, keyring, clock } = options;
    const transport = new HttpTransport(options);
    super({
      name,
      transport: 'sse',
      onStateLoss: config.onStateLoss,
      timeoutMs: config.timeout,
      startTimeoutMs: limits.startTimeout,
      keyring,
      clock,
      clientInfo: transport.clientInfo,
      lossByTakeOver: 'the event stream ended with its worker',
      open: ({ host, headers, onLost }) => new SseChannel({ transport, host, headers, onLost }),
    });
    this.#transport = transport;
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#transport.close();
  }
}
