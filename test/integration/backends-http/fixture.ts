// Opens backends and sessions for one test file and closes all of them after each test.
import type { BackendSession } from '../../../src/backends/backend.js';
import type { HttpBackend } from '../../../src/backends/http/http-backend.js';
import type { HttpBackendConfig } from '../../../src/config/schema.js';
import type { BackendSessionRecord } from '../../../src/directory/directory.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { StrictBackend, type StrictBackendOptions } from '../../support/strict-backend.js';
import { type BackendChoices, makeBackend, RecordingHost } from './harness.js';

export interface Opened {
  readonly strict: StrictBackend;
  readonly backend: HttpBackend;
  readonly host: RecordingHost;
  readonly session: BackendSession;
}

export function useBackends() {
  const closing: Array<() => Promise<void>> = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const startStrict = async (options: StrictBackendOptions = {}) => {
    const strict = await StrictBackend.start(options);
    closing.push(() => strict.close());
    return strict;
  };
  const connect = (url: string, config: Partial<HttpBackendConfig> = {}, choices: BackendChoices = {}) => {
    const backend = makeBackend(url, config, choices);
    closing.push(() => backend.close());
    return backend;
  };
  const createSession = (backend: HttpBackend, host = new RecordingHost(), record?: BackendSessionRecord) => {
    const session = backend.createSession(host, record);
    closing.push(async () => session.close(new GatewayError('SESSION_NOT_FOUND')));
    return session;
  };
  const open = async (
    options: StrictBackendOptions = {},
    config: Partial<HttpBackendConfig> = {},
    choices: BackendChoices = {},
  ): Promise<Opened> => {
    const strict = await startStrict(options);
    const backend = connect(strict.url, config, choices);
    const host = new RecordingHost();
    return { strict, backend, host, session: createSession(backend, host) };
  };
  return { startStrict, connect, createSession, open };
}
