// What operators and Kubernetes ask: metrics and probes of the pod, the admin API of the cluster, and its dashboard. Served by the primary,
// apart from the MCP traffic, so that it answers also when a worker does not.
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { AdminError } from './admin-error.js';
import { type ApiParts, makeApiRouter } from './api-router.js';
import { authorizationOf, carriesToken } from './bearer-token.js';
import type { DashboardFiles } from './dashboard-files.js';
import { makeDashboardRouter } from './dashboard-router.js';
import { isOwnOrigin } from './own-origin.js';

export interface PodStatus {
  readonly ready: boolean;
  /** Why not, and what is wrong with single workers. */
  readonly reasons: readonly string[];
  readonly workers: { readonly configured: number; readonly ready: number };
}

export interface AdminParts {
  readonly status: () => PodStatus;
  readonly scrape: () => Promise<{
    readonly text: string;
    readonly contentType: string;
    readonly reporting: number;
    readonly configured: number;
  }>;
  /** `admin.metricsToken`; '': metrics are free. */
  readonly metricsToken: string;
  readonly hostGuard: {
    isHostAllowed(host: string | undefined): boolean;
    isOriginAllowed(origin: string | undefined): boolean;
  };
  readonly api: ApiParts;
  readonly dashboard: DashboardFiles;
  readonly onError: (error: unknown) => void;
}

export function makeAdminApp(parts: AdminParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use((_request: Request, response: Response, next: NextFunction) => {
    response.set({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    next();
  });

  // Before the check of Host: probes and scrapers name the pod by its address.
  app.get('/livez', (_request: Request, response: Response) => {
    response.json({ status: 'alive' });
  });
  app.get('/readyz', (_request: Request, response: Response) => {
    const { ready, reasons, workers } = parts.status();
    response.status(ready ? 200 : 503).json({ status: ready ? 'ready' : 'not ready', reasons, workers });
  });
  app.get('/metrics', async (request: Request, response: Response) => {
    if (parts.metricsToken && !carriesToken(authorizationOf(request), parts.metricsToken)) {
      response.set('www-authenticate', 'Bearer');
      throw new AdminError('UNAUTHENTICATED', 'Send the metrics token (admin.metricsToken) as Authorization: Bearer');
    }
    const { text, contentType, reporting, configured } = await parts.scrape();
    // Not response.type(): Express would put its own charset in front of the version of the format.
    response.set({ 'content-type': contentType, 'x-berth-workers-reporting': `${reporting}/${configured}` });
    response.end(text);
  });
  app.all(['/livez', '/readyz', '/metrics'], (_request: Request, response: Response) => {
    response.set('allow', 'GET, HEAD');
    throw new AdminError('METHOD_NOT_ALLOWED', 'Use GET');
  });

  app.use((request: Request, _response: Response, next: NextFunction) => {
    const { host, origin } = request.headers;
    if (!parts.hostGuard.isHostAllowed(host)) throw new AdminError('HOST_FORBIDDEN');
    // The dashboard under a name of `hosts` sends its own Origin with whatever changes something. Where a token is asked for, that is what
    // keeps strangers out, whose page may have any name where `hosts` has "*".
    const isOwn = parts.api.token !== '' && isOwnOrigin(origin, host);
    if (!isOwn && !parts.hostGuard.isOriginAllowed(origin)) throw new AdminError('ORIGIN_FORBIDDEN');
    next();
  });
  app.use(makeDashboardRouter(parts.dashboard));
  app.use(makeApiRouter(parts.api));
  app.use(() => {
    throw new AdminError('NOT_FOUND');
  });

  // Express' own error page is HTML with a stack.
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error);
    const known = error instanceof AdminError ? error : describe(error);
    if (known !== error && known.status >= 500) parts.onError(error);
    response.status(known.status).json(known.body);
  });
  return app;
}

function describe(error: unknown): AdminError {
  // Express itself refuses some requests, such as paths that are not decodable, by an error with a status.
  const status = (error as { status?: unknown } | null)?.status;
  return new AdminError(typeof status === 'number' && status >= 400 && status < 500 ? 'BAD_REQUEST' : 'INTERNAL');
}
