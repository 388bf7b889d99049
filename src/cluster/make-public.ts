// The public listener of a worker: MCP endpoints and its own probes.
import type { Server } from 'node:http';
import { ANONYMOUS } from '../edge/authenticate.js';
import { makeHostGuard } from '../edge/host-guard.js';
import { McpEndpoint } from '../edge/mcp-endpoint.js';
import { makePublicServer } from '../edge/public-server.js';
import type { LeaseKeeper } from '../sessions/lease-keeper.js';
import type { Exchange } from '../streams/exchange.js';
import type { Sessions } from './make-sessions.js';
import { Readiness } from './readiness.js';
import type { WorkerBase } from './worker-base.js';

export interface Public {
  readonly server: Server;
  readonly endpoint: McpEndpoint;
  readonly readiness: Readiness;
}

export function makePublic(
  { config, clock, metrics }: WorkerBase,
  { servers }: Sessions,
  keeper: LeaseKeeper,
  execute: (exchange: Exchange) => Promise<void>,
): Public {
  const readiness = new Readiness(keeper, clock, config.internal.lease);
  const hostGuard = makeHostGuard(config, config.listen);
  const endpoint = new McpEndpoint({
    hostGuard,
    hasServer: (id) => servers.find(id) !== undefined,
    authenticate: () => ANONYMOUS,
    forwardHeaders: new Set(
      Object.values(config.mcpServers).flatMap((backend) => (backend.type === 'stdio' ? [] : backend.forwardHeaders)),
    ),
    limits: { bodyBytes: config.limits.body, requestTimeoutMs: config.limits.requestTimeout },
    clock,
    execute,
    isDraining: () => keeper.isDraining,
    onRefused: (error) => metrics.refused.inc(String(error.status), error.code),
  });
  const server = makePublicServer({
    endpoint,
    hostGuard,
    endpointPaths: () => servers.servers.map(({ id }) => (id === '' ? '/mcp' : `/servers/${id}/mcp`)),
    isReady: () => readiness.read(),
    keepAliveTimeoutMs: config.limits.keepAliveTimeout,
  });
  return { server, endpoint, readiness };
}
