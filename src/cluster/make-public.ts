// The public listener of a worker: MCP endpoints and its own probes.
import type { Server } from 'node:http';
import { ANONYMOUS } from '../edge/authenticate.js';
import { McpEndpoint } from '../edge/mcp-endpoint.js';
import { makePublicServer } from '../edge/public-server.js';
import type { LeaseKeeper } from '../sessions/lease-keeper.js';
import type { Exchange } from '../streams/exchange.js';
import { Readiness } from './readiness.js';
import type { WorkerBase } from './worker-base.js';

export interface Public {
  readonly server: Server;
  readonly endpoint: McpEndpoint;
  readonly readiness: Readiness;
}

export function makePublic(
  { config, live, clock, metrics }: WorkerBase,
  keeper: LeaseKeeper,
  execute: (exchange: Exchange) => Promise<void>,
): Public {
  const readiness = new Readiness(keeper, clock, config.internal.lease);
  const { hostGuard } = live;
  const endpoint = new McpEndpoint({
    hostGuard,
    hasServer: (id) => live.servers.find(id) !== undefined,
    authenticate: () => ANONYMOUS,
    get forwardHeaders() {
      return live.current.forwardHeaders;
    },
    limits: {
      bodyBytes: config.limits.body,
      get requestTimeoutMs() {
        return live.config.limits.requestTimeout;
      },
    },
    clock,
    execute,
    isDraining: () => keeper.isDraining,
    onRefused: (error) => metrics.refused.inc(String(error.status), error.code),
  });
  const server = makePublicServer({
    endpoint,
    hostGuard,
    endpointPaths: () => live.servers.servers.map(({ id }) => (id === '' ? '/mcp' : `/servers/${id}/mcp`)),
    isReady: () => readiness.read(),
    keepAliveTimeoutMs: config.limits.keepAliveTimeout,
  });
  return { server, endpoint, readiness };
}
