// Which endpoint a URL names. Only the exact forms are MCP paths; everything else belongs to the small pages or is unknown.

export type PathMatch =
  /** '' is `/mcp`: all backends. */
  | { readonly kind: 'mcp'; readonly serverId: string }
  /** `/servers/…` that cannot be an endpoint, such as an empty id: 404, also for callers with a valid session. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'other' };

const SERVER_PATH = /^\/servers\/([A-Za-z0-9][A-Za-z0-9_-]{0,31})\/mcp\/?$/;
const ALL: PathMatch = { kind: 'mcp', serverId: '' };
const UNKNOWN: PathMatch = { kind: 'unknown' };
const OTHER: PathMatch = { kind: 'other' };

export function matchPath(url: string): PathMatch {
  const query = url.indexOf('?');
  const path = query < 0 ? url : url.slice(0, query);
  if (path === '/mcp' || path === '/mcp/') return ALL;
  if (!path.startsWith('/servers')) return OTHER;
  const match = SERVER_PATH.exec(path);
  return match ? { kind: 'mcp', serverId: match[1] as string } : UNKNOWN;
}
