// Serves the dashboard. Its files hold nothing secret, so they need no token: the page itself asks for it and sends it to the API
// (docs/adr/0024-dashboard.md).
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import { AdminError } from './admin-error.js';
import type { DashboardFiles } from './dashboard-files.js';

/** Whatever a client calls itself stays text: a page that was tricked into more could still load, run and send nothing. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // Kept, and asked about each time: after an update nobody runs a mix of two releases.
  'cache-control': 'no-cache',
};

export function makeDashboardRouter(files: DashboardFiles): Router {
  const router = express.Router();
  router.use((request: Request, response: Response, next: NextFunction) => {
    const file = files.get(request.path);
    if (!file) {
      if (request.path === '/') throw new AdminError('NOT_FOUND', 'This build has no dashboard: npm run build. See /api');
      return next();
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.set('allow', 'GET, HEAD');
      throw new AdminError('METHOD_NOT_ALLOWED', 'Use GET');
    }
    // Express makes it a 304 where the browser has this very content.
    response.set({ ...HEADERS, 'content-type': file.type, etag: file.etag }).send(file.body);
  });
  return router;
}
