// What operators and Kubernetes ask: metrics and probes, for the whole pod. Served by the primary, apart from the MCP traffic, so
// that it answers also when a worker does not.
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { carriesToken } from './bearer-token.js';

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
  readonly onError: (error: unknown) => void;
}

/** An answer that is an error: what the caller may know. */
class AdminError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
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
    if (parts.metricsToken && !carriesToken(request.headers.authorization, parts.metricsToken)) {
      response.set('www-authenticate', 'Bearer');
      throw new AdminError(401, 'UNAUTHENTICATED', 'Send the metrics token (admin.metricsToken) as Authorization: Bearer');
    }
    const { text, contentType, reporting, configured } = await parts.scrape();
    // Not response.type(): Express would put its own charset in front of the version of the format.
    response.set({ 'content-type': contentType, 'x-berth-workers-reporting': `${reporting}/${configured}` });
    response.end(text);
  });
  app.all(['/livez', '/readyz', '/metrics'], (_request: Request, response: Response) => {
    response.set('allow', 'GET, HEAD');
    throw new AdminError(405, 'METHOD_NOT_ALLOWED', 'Use GET');
  });

  app.use((request: Request, _response: Response, next: NextFunction) => {
    if (!parts.hostGuard.isHostAllowed(request.headers.host)) {
      throw new AdminError(
        403,
        'HOST_FORBIDDEN',
        'This Host is not served here: set publicUrl or hosts to the name that is used',
      );
    }
    if (!parts.hostGuard.isOriginAllowed(request.headers.origin)) {
      throw new AdminError(403, 'ORIGIN_FORBIDDEN', 'This Origin is not allowed: add it to origins');
    }
    next();
  });
  app.use(() => {
    throw new AdminError(404, 'NOT_FOUND', 'There is /metrics, /livez and /readyz');
  });

  // Express' own error page is HTML with a stack.
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error);
    const known = error instanceof AdminError ? error : describe(error);
    if (known.status >= 500) parts.onError(error);
    response.status(known.status).json({ error: { code: known.code, message: known.message } });
  });
  return app;
}

function describe(error: unknown): AdminError {
  // Express itself refuses some requests, such as paths that are not decodable, by an error with a status.
  const status = (error as { status?: unknown } | null)?.status;
  return typeof status === 'number' && status >= 400 && status < 500
    ? new AdminError(status, 'BAD_REQUEST', 'Bad request')
    : new AdminError(500, 'INTERNAL', 'Internal error');
}
