// One strict server and the bridges that a test starts to it, all gone after each test.
import { BridgeProcess, type BridgeOptions } from '../../support/bridge-process.js';
import { StrictBackend, type StrictBackendOptions } from '../../support/strict-backend.js';

export interface Harness {
  /** A strict server that stands for the gateway. */
  server(options?: StrictBackendOptions, port?: number): Promise<StrictBackend>;
  bridge(url: string, options?: BridgeOptions): BridgeProcess;
}

export function useHarness(): Harness {
  const servers: StrictBackend[] = [];
  const bridges: BridgeProcess[] = [];
  afterEach(async () => {
    await Promise.all(bridges.splice(0).map((bridge) => bridge.dispose()));
    await Promise.all(servers.splice(0).map((server) => server.close().catch(() => undefined)));
  });
  return {
    async server(options, port) {
      const server = await StrictBackend.start(options, port);
      servers.push(server);
      return server;
    },
    bridge(url, options) {
      const bridge = new BridgeProcess(url, options);
      bridges.push(bridge);
      return bridge;
    },
  };
}

export const textOf = (line: { result?: { content?: Array<{ text: string }> } }): string | undefined =>
  line.result?.content?.[0]?.text;
