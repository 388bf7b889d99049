// The public listener of a worker: MCP endpoints and its own probes.
import type { Server } from 'node:http';
import { McpEndpoint } from '../edge/mcp-endpoint.js';
import { makePublicServer } from '../edge/public-server.js';
import type { LeaseKeeper } from '../sessions/lease-keeper.js';
import type { Exchange } from '../streams/exchange.js';
import type { Authentication } from './make-authentication.js';
import { Readiness } from './readiness.js';
import type { WorkerBase } from './worker-base.js';

export interface Public {
  readonly server: Server;
  readonly endpoint: McpEndpoint;
  readonly readiness: Readiness;
}

const CLOSED_PATHS = ['/mcp', '/servers/<id>/mcp'];

export function makePublic(
  { config, live, clock, metrics }: WorkerBase,
  keeper: LeaseKeeper,
  execute: (exchange: Exchange) => Promise<void>,
  authentication: Authentication,
): Public {
  const readiness = new Readiness(keeper, clock, config.internal.lease);
  const { hostGuard } = live;
  const endpoint = new McpEndpoint({
    hostGuard,
    hasServer: (id) => live.servers.find(id) !== undefined,
    authenticate: authentication.authenticate,
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
    // Which servers there are is nobody's business who may not come in.
    endpointPaths: () =>
      authentication.isOpen ? live.servers.servers.map(({ id }) => (id === '' ? '/mcp' : `/servers/${id}/mcp`)) : CLOSED_PATHS,
    isReady: () => readiness.read(),
    keepAliveTimeoutMs: config.limits.keepAliveTimeout,
  });
  authentication.onKeysChanged((knows) => endpoint.endStreams((principal) => !knows(principal)));
  return { server, endpoint, readiness };
}
