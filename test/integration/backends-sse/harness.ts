// An HTTP+SSE backend with a session host that records; callers are those of the stdio tests, since both answer in messages.
import type { LookupFunction } from 'node:net';
import type { BackendSession } from '../../../src/backends/backend.js';
import { SseBackend } from '../../../src/backends/sse/sse-backend.js';
import { configSchema, type SseBackendConfig } from '../../../src/config/schema.js';
import type { BackendSessionRecord } from '../../../src/directory/directory.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { type RawSseOptions, RawSseServer } from '../../support/raw-sse-server.js';
import { keyring, RecordingHost, soon } from '../backends-stdio/harness.js';

export { Caller, callTool, RecordingHost, soon } from '../backends-stdio/harness.js';

export interface Choices {
  readonly startTimeout?: number;
  readonly lookup?: LookupFunction;
}

export interface Opened {
  readonly raw: RawSseServer;
  readonly backend: SseBackend;
  readonly host: RecordingHost;
  readonly session: BackendSession;
}

/** Makes servers and backends for one test file and closes all of them after each test. */
export function useBackends() {
  const closing: Array<() => Promise<unknown>> = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  const connect = (url: string, config: Partial<SseBackendConfig> = {}, choices: Choices = {}) => {
    const parsed = configSchema.parse({ mcpServers: { b: { type: 'sse', url } } }).mcpServers.b as SseBackendConfig;
    const backend = new SseBackend({
      name: 'b',
      config: { ...parsed, ...config },
      limits: { startTimeout: choices.startTimeout ?? 20_000, connectTimeout: 2000, reinitializeTimeout: 5000 },
      keyring,
      clock: systemClock,
      version: '0.0.0-test',
      ...(choices.lookup ? { lookup: choices.lookup } : {}),
    });
    closing.push(() => backend.close());
    return backend;
  };
  const createSession = (backend: SseBackend, record?: BackendSessionRecord) => {
    const host = new RecordingHost();
    const session = backend.createSession(host, record);
    closing.push(async () => session.close(new GatewayError('SESSION_NOT_FOUND')));
    return { host, session };
  };
  const start = async (options: RawSseOptions = {}) => {
    const raw = await RawSseServer.start(options);
    closing.push(() => raw.close());
    return raw;
  };
  /** Not opened yet. */
  const make = async (
    options: RawSseOptions = {},
    config: Partial<SseBackendConfig> = {},
    choices: Choices = {},
  ): Promise<Opened> => {
    const raw = await start(options);
    const backend = connect(raw.url, config, choices);
    return { raw, backend, ...createSession(backend) };
  };
  const open = async (...args: Parameters<typeof make>): Promise<Opened> => {
    const made = await make(...args);
    await made.session.open(soon());
    return made;
  };
  return { connect, createSession, start, make, open, closing };
}
