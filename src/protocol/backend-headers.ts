// Which headers a configuration may set for a backend (a user, for the bridge), and which of a client's it may pass on: the one list,
// used by the schema, which says why a name is refused, and where requests are made, which drops what gets past the schema.
import { FORWARDED_HEADER, INTERNAL_HEADER_PREFIX } from './mcp.js';

/** Ours, per connection, or part of the framing of a body: another value would desynchronise the connection. */
const FRAMING = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'last-event-id',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Who somebody is or where he came from, as proxies say it: a client's word for it is worth nothing at a backend. */
const TRUST = /^(?:forwarded|via|x-forwarded-.*|x-original-forwarded-for|x-real-ip|x-client-ip|true-client-ip|cf-connecting-ip)$/;

/** Why a configured header cannot be sent to a backend; undefined: it can. @param name in any case */
export function whyNotSet(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (FRAMING.has(lower) || lower.startsWith('proxy-') || lower.startsWith('mcp-') || isInternal(lower))
    return 'this header is set by the gateway itself';
  return undefined;
}

/** Why a client's header is not passed on to a backend; undefined: it can be. @param name in any case */
export function whyNotForwarded(name: string): string | undefined {
  const lower = name.toLowerCase();
  const fixed = whyNotSet(lower);
  if (fixed !== undefined) return fixed;
  if (TRUST.test(lower)) return 'says where a request came from, and a client could write anything: it is not passed on';
  // The cookies of the gateway's own name: the session of a login proxy before it, worthless or dangerous anywhere else.
  if (lower === 'cookie') return 'holds sessions of whatever stands before the gateway: it is not passed on';
  return undefined;
}

function isInternal(lower: string): boolean {
  return lower === FORWARDED_HEADER || lower.startsWith(INTERNAL_HEADER_PREFIX);
}
