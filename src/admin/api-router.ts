// The HTTP side of the admin API, in the primary: who may ask, what is asked, and who asked what. Answers come from a worker.
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import { AdminError } from './admin-error.js';
import type { AdminAnswer, AdminRequest } from './admin-request.js';
import { API_ROUTES, type ApiRoute, POD_ROUTE, readQuery } from './api-routes.js';
import { authorizationOf, carriesToken } from './bearer-token.js';

export interface AuditEntry {
  /** Such as `session.kill`. */
  readonly action: string;
  /** Session, teardown, or backend that it was about; cut to what one of them can be. */
  readonly about: string;
  /** Of the answer. */
  readonly status: number;
  /** Address of whoever asked. */
  readonly remote: string;
  /** How they proved that they may. */
  readonly by: 'admin token' | 'loopback, no token';
}

/** What the primary of the pod that was asked says of itself, also when no worker answers. */
export interface PodView {
  readonly version: string;
  readonly pid: number;
  readonly ready: boolean;
  /** Why not, and what is wrong with single workers. */
  readonly reasons: readonly string[];
  readonly workers: { readonly configured: number; readonly ready: number };
}

export interface ApiParts {
  /** `admin.token`; '': the API is free to whoever reaches the listener, which is loopback then. */
  readonly token: string;
  /** @throws AdminError */
  readonly ask: (request: AdminRequest) => Promise<AdminAnswer>;
  readonly pod: () => PodView;
  readonly audit: (entry: AuditEntry) => void;
}

const RETRY_AFTER_S = '1';
const MAX_ABOUT = 80;

export function makeApiRouter(parts: ApiParts): Router {
  const router = express.Router();
  // Before the path is looked at: a stranger learns nothing of what there is.
  router.use('/api', (request: Request, response: Response, next: NextFunction) => {
    if (parts.token && !carriesToken(authorizationOf(request), parts.token)) {
      response.set('www-authenticate', 'Bearer');
      throw new AdminError('UNAUTHENTICATED', 'Send the admin token (admin.token, BERTH_ADMIN_TOKEN) as Authorization: Bearer');
    }
    if (hasBody(request)) {
      // What is not read must not be taken for the next request.
      response.set('connection', 'close');
      throw new AdminError('BODY_UNWANTED');
    }
    next();
  });
  router.get(POD_ROUTE.path, (request: Request, response: Response) => {
    readQuery(POD_ROUTE, request.query);
    response.json(parts.pod());
  });
  for (const route of API_ROUTES) {
    router[route.method](route.path, (request: Request, response: Response) => answer(parts, route, request, response));
  }
  const routes = [POD_ROUTE, ...API_ROUTES];
  for (const path of new Set(routes.map((route) => route.path))) {
    const methods = routes.filter((route) => route.path === path).map(({ method }) => method.toUpperCase());
    const allowed = methods.flatMap((method) => (method === 'GET' ? [method, 'HEAD'] : [method])).join(', ');
    router.all(path, (_request: Request, response: Response) => {
      response.set('allow', allowed);
      throw new AdminError('METHOD_NOT_ALLOWED', `Use ${allowed}`);
    });
  }
  router.use('/api', () => {
    const paths = [...new Set(routes.map(({ path }) => path.split('/').slice(0, 3).join('/')))];
    throw new AdminError('NOT_FOUND', `There is ${paths.join(', ')}`);
  });
  return router;
}

async function answer(parts: ApiParts, route: ApiRoute, request: Request, response: Response): Promise<void> {
  const id = String(request.params.id ?? '');
  let status = 500;
  try {
    const given = await parts.ask(route.read(readQuery(route, request.query), id));
    status = given.status;
    if (status === 503) response.set('retry-after', RETRY_AFTER_S);
    response.status(status).json(given.body);
  } catch (error) {
    if (error instanceof AdminError) {
      status = error.status;
      if (status === 503) response.set('retry-after', RETRY_AFTER_S);
    }
    throw error;
  } finally {
    if (route.audit !== undefined) {
      parts.audit({
        action: route.audit,
        about: (id || String(request.query.backend ?? '')).slice(0, MAX_ABOUT),
        status,
        remote: request.socket.remoteAddress ?? '',
        by: parts.token ? 'admin token' : 'loopback, no token',
      });
    }
  }
}

const hasBody = ({ headers }: Request): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
