// What an error of a backend says about its health. The words are those of the table in docs/backends.md, "Health".
import { CATALOG } from '../../errors/catalog.js';
import type { GatewayError } from '../../errors/gateway-error.js';
import type { Cause } from './breaker.js';

/** No connection was to be had: nothing was sent. */
const CONNECTION = new Set(['refused', 'dns', 'tls', 'connect_timeout', 'unreachable', 'reset', 'address_refused']);
/** Our own doing, or that of the call. */
const OURS = new Set(['closed', 'busy', 'removed', 'given_up', 'too_deep', 'bad_request', 'broken']);
const TOO_MANY_REQUESTS = 429;

/**
 * @returns undefined if it says nothing about the backend: the guard, the end of the session, our own bounds
 */
export function causeOf(error: GatewayError): Cause | undefined {
  if (error.code === 'INTERNAL' || CATALOG[error.code].source !== 'backend') return undefined;
  const { status, step } = error.details ?? {};
  const told = error.details?.reason;
  const reason = typeof told === 'string' ? told : 'failed';
  if (OURS.has(reason)) return undefined;
  // `step`: bytes of the handshake had left, so there was a connection.
  if (CONNECTION.has(reason) && step === undefined) return { reason, blocks: 'all' };
  if (reason === 'initialize_refused') {
    // A JSON-RPC error under a status that says more: 401, 403, 5xx.
    const says = typeof status === 'number' && status > 400;
    return says ? causeOfStatus(status) : { reason, blocks: 'nothing' };
  }
  return typeof status === 'number' && reason.startsWith('http_') ? causeOfStatus(status) : { reason, blocks: 'openings' };
}

function causeOfStatus(status: number): Cause {
  return { reason: `http_${status}`, blocks: status === TOO_MANY_REQUESTS ? 'nothing' : 'openings' };
}

/**
 * Whether it may have been the caller's own fault where the backend gets headers of his: his credentials, his tenant. Only what comes
 * before the first byte of a request is not.
 * @returns `his`: an answer to him, so the backend is there; `perhaps`: it may be in trouble, or he makes it so
 */
export function blame({ reason, blocks }: Cause): 'his' | 'perhaps' | 'backend' {
  if (blocks === 'all') return 'backend';
  return /^http_4/.test(reason) || reason === 'initialize_refused' ? 'his' : 'perhaps';
}
