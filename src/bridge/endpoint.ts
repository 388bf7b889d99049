// The URL that a user pastes, as the address of the MCP endpoint it means.
import { EXIT, StartError } from '../errors/start-error.js';

export interface Endpoint {
  readonly url: URL;
  /** Worth telling: it is not what was written. */
  readonly note?: string;
}

const REMEDY = `Give the URL that \`berth serve\` prints, for example:

    berth stdio http://127.0.0.1:8080/mcp`;

/**
 * A base URL means its /mcp, /servers/<id> its /mcp, a final slash means nothing; a path that says none of these is taken as it is.
 * @throws StartError 64 that says what to write
 */
export function readEndpoint(text: string): Endpoint {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || !/^https?:\/\//i.test(text)) {
    throw usage(`the URL does not begin with http:// or https://`, REMEDY);
  }
  if (url.username !== '' || url.password !== '') {
    throw usage('the URL holds credentials, which others on this machine can read', 'Set BERTH_TOKEN, or use --header, instead.');
  }
  url.hash = '';
  const path = url.pathname.replace(/\/+$/, '');
  if (path.endsWith('/sse')) {
    url.pathname = `${path.slice(0, -'/sse'.length)}/mcp`;
    return { url, note: `${path} is the address of the old SSE transport; using ${url.pathname} of the same server` };
  }
  if (path === '') url.pathname = '/mcp';
  else if (/\/servers\/[^/]+$/.test(path)) url.pathname = `${path}/mcp`;
  else if (path.endsWith('/mcp')) url.pathname = path;
  return { url };
}

const usage = (what: string, remedy: string) => new StartError(EXIT.usage, `${what}.\n  ${remedy}`);
