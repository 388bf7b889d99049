// The public listener of a worker: node:http for the MCP path (Express costs 2.5 times as much there), Express for everything else.
import { createServer, type Server } from 'node:http';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { GatewayError } from '../errors/gateway-error.js';
import { errorText } from '../protocol/json-rpc.js';
import type { HostGuard } from './host-guard.js';
import { matchPath } from './match-path.js';
import type { McpEndpoint } from './mcp-endpoint.js';
import type { Connections } from './connections.js';
import type { UnreadBytes, WatchedSocket } from './unread-bytes.js';

export interface PublicServerParts {
  readonly endpoint: McpEndpoint;
  readonly hostGuard: HostGuard;
  /** Paths of the endpoints, for the page at `/`. */
  readonly endpointPaths: () => readonly string[];
  /** Not draining, and Redis not away for three leases. */
  readonly isReady: () => { readonly ready: boolean; readonly reasons: readonly string[] };
  /** `limits.keepAliveTimeout`, ms: above the balancer's idle time. */
  readonly keepAliveTimeoutMs: number;
  readonly connections: Connections;
  /** Closes connections whose clients do not read. */
  readonly unreadBytes: UnreadBytes;
}

/** Whole headers have to be there within this time; bodies are bounded by the request's own deadline. */
const HEADERS_TIMEOUT_MS = 30_000;
const BODY_TIMEOUT_MS = 60_000;

export function makePublicServer(parts: PublicServerParts): Server {
  const pages = makePages(parts);
  const server = createServer(
    {
      keepAliveTimeout: parts.keepAliveTimeoutMs,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: BODY_TIMEOUT_MS,
      noDelay: true,
    },
    (request, response) => {
      const match = matchPath(request.url ?? '/');
      if (match.kind === 'other') {
        // As any answer over one too many; else probes of strangers could fill the reserve for those that are told so.
        if (parts.connections.isExcess(request.socket)) response.setHeader('connection', 'close');
        pages(request, response);
      } else void parts.endpoint.handle(request, response, match.kind === 'mcp' ? match.serverId : undefined);
    },
  );
  server.on('connection', (socket: WatchedSocket) => {
    if (parts.connections.count(socket)) parts.unreadBytes.watch(socket);
  });
  return server;
}

function makePages(parts: PublicServerParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.get('/livez', (_request, response) => {
    response.json({ status: 'alive' });
  });
  app.get('/readyz', (_request, response) => {
    const { ready, reasons } = parts.isReady();
    response.status(ready ? 200 : 503).json({ status: ready ? 'ready' : 'not ready', reasons });
  });
  app.use((request: Request, _response: Response, next: NextFunction) => {
    if (!parts.hostGuard.isHostAllowed(request.headers.host)) throw new GatewayError('HOST_FORBIDDEN');
    if (!parts.hostGuard.isOriginAllowed(request.headers.origin)) throw new GatewayError('ORIGIN_FORBIDDEN');
    next();
  });
  app.get('/', (_request, response) => {
    const lines = parts.endpointPaths().map((path) => `  ${path}`);
    response.type('text/plain').send(`Berth, a gateway for the Model Context Protocol.\n\nEndpoints:\n${lines.join('\n')}\n`);
  });
  app.use(() => {
    throw new GatewayError('SERVER_NOT_FOUND');
  });
  // Express' own error page is HTML with a stack.
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    const known = error instanceof GatewayError ? error : new GatewayError('INTERNAL', { cause: error });
    response.status(known.status).type('application/json').send(errorText(undefined, known.toJsonRpc()));
  });
  return app;
}
