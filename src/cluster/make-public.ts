// The public listener of a worker: MCP endpoints and its own probes.
import type { Server } from 'node:http';
import { BodyRoom } from '../edge/body-room.js';
import { Connections, TOO_MANY_CONNECTIONS } from '../edge/connections.js';
import { McpEndpoint } from '../edge/mcp-endpoint.js';
import { makePublicServer } from '../edge/public-server.js';
import { UnreadBytes } from '../edge/unread-bytes.js';
import type { GatewayError } from '../errors/gateway-error.js';
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

/** As long again as a stream has before it ends in order: so long its end may take. */
const STALLS = 2;
const CLOSED_PATHS = ['/mcp', '/servers/<id>/mcp'];

export function makePublic(
  { config, live, clock, log, metrics }: WorkerBase,
  keeper: LeaseKeeper,
  execute: (exchange: Exchange) => Promise<void>,
  authentication: Authentication,
  onRefused: (error: GatewayError) => void,
): Public {
  const readiness = new Readiness(keeper, clock, config.internal.lease);
  const { hostGuard } = live;
  const connections = new Connections(
    () => live.config.limits.connections,
    () => {
      metrics.connectionsCut.inc('excess');
      onRefused(TOO_MANY_CONNECTIONS);
    },
  );
  metrics.connections.measure(() => connections.open);
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
    bodyRoom: new BodyRoom(config.limits.body),
    connections,
    execute,
    isDraining: () => keeper.isDraining,
    onRefused,
  });
  const server = makePublicServer({
    endpoint,
    hostGuard,
    // Which servers there are is nobody's business who may not come in.
    endpointPaths: () =>
      authentication.isOpen ? live.servers.servers.map(({ id }) => (id === '' ? '/mcp' : `/servers/${id}/mcp`)) : CLOSED_PATHS,
    isReady: () => readiness.read(),
    keepAliveTimeoutMs: config.limits.keepAliveTimeout,
    connections,
    unreadBytes: new UnreadBytes({
      clock,
      maxStallMs: () => STALLS * live.config.limits.slowReader,
      onCut: (reason, bytes) => {
        metrics.connectionsCut.inc(reason);
        log.warn({ reason, bytes }, 'a connection was closed whose client does not read');
      },
    }),
  });
  authentication.onKeysChanged((knows) => endpoint.endStreams((principal) => !knows(principal)));
  return { server, endpoint, readiness };
}
