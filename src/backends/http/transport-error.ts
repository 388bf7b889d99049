// Turns what a connection did into the error a caller may see: a reason of a closed list, never an address, header or id.
import { GatewayError } from '../../errors/gateway-error.js';
import { outcomeUnknown, timedOut, unavailable } from '../failures.js';

export { outcomeUnknown, timedOut, unavailable };

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  EAI_NODATA: 'dns',
  ETIMEDOUT: 'connect_timeout',
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  UND_ERR_SOCKET: 'reset',
  UND_ERR_DESTROYED: 'closed',
  UND_ERR_CLOSED: 'closed',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'bad_reply',
  UND_ERR_HEADERS_OVERFLOW: 'bad_reply',
  UND_ERR_INVALID_ARG: 'bad_request',
  EPROTO: 'tls',
  BERTH_ADDRESS_REFUSED: 'address_refused',
  BERTH_ENCODING: 'content_encoding',
};
const TLS_CODE = /^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|CRL_)/;

/** Why a connection failed, as one word. */
export function reasonOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (typeof code !== 'string') return 'failed';
  if (TLS_CODE.test(code)) return 'tls';
  if (code.startsWith('HPE_')) return 'bad_reply';
  if (code.startsWith('Z_') || code.startsWith('ERR__ERROR_')) return 'content_encoding';
  return REASONS[code] ?? 'failed';
}

/** @param sent whether bytes of the request had left: only then may it have run */
export function transportError(backend: string, error: unknown, sent: boolean): GatewayError {
  if (error instanceof GatewayError) return error;
  const reason = reasonOf(error);
  return sent ? outcomeUnknown(backend, reason, error) : unavailable(backend, reason, {}, error);
}

/** Codes after which the call may well have run, although the backend (or a balancer before it) answered with an error. */
const DOUBTFUL = new Set([500, 502, 504]);

/** An answer without a JSON-RPC body that a caller could be given. */
export function statusError(backend: string, status: number, more: Readonly<Record<string, unknown>> = {}): GatewayError {
  const reason = status >= 300 && status < 400 ? 'redirect' : `http_${status}`;
  return unavailable(backend, reason, DOUBTFUL.has(status) ? { status, executed: 'unknown', ...more } : { status, ...more });
}

/**
 * A lost session could not be opened anew. The call did not run, the backend said so; told are both what it answered and why there
 * is no new session. What concerns the session itself (NOT_OWNER, its end) stays as it is.
 */
export function recoveryError(backend: string, error: GatewayError, answer: string): GatewayError {
  const { code } = error;
  if (code !== 'BACKEND_UNAVAILABLE' && code !== 'BACKEND_TIMEOUT') return error;
  const details = { answer, cause: error.details?.cause ?? error.details?.reason, initialize: error.details };
  return code === 'BACKEND_TIMEOUT'
    ? timedOut(backend, { ...details, reason: 'session_lost' })
    : unavailable(backend, 'session_lost', details, error);
}
