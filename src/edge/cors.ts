// What browsers need to hear; only for an Origin that the host guard allows.
import type { Headers } from '../streams/exchange.js';

const EXPOSED = 'Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After';
const METHODS = 'GET, POST, DELETE';
const REQUEST_HEADERS =
  'Authorization, X-API-Key, Content-Type, Accept, MCP-Protocol-Version, Last-Event-ID, Mcp-Session-Id, Mcp-Method, Mcp-Name';

/** Headers added to every answer to a browser. */
export function corsHeaders(origin: string): Headers {
  return { 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED, vary: 'Origin' };
}

/**
 * The answer to OPTIONS. Mcp-Param-* headers cannot be listed by name, so what the browser asks for is allowed if it is of the
 * Mcp family or in the fixed list.
 */
export function preflightHeaders(origin: string | undefined, requested: string | undefined): Headers {
  const allow: Headers = { allow: METHODS };
  if (origin === undefined) return allow;
  const mcp = (requested ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => /^mcp-[a-z0-9-]{1,64}$/i.test(name));
  return {
    ...allow,
    ...corsHeaders(origin),
    'access-control-allow-methods': METHODS,
    'access-control-allow-headers': [REQUEST_HEADERS, ...mcp].join(', '),
    'access-control-max-age': '600',
  };
}
