// The ways in which a backend fails a call, as the caller may see them: a reason of a closed list in each transport, never an address,
// a path, a header, an id or what a command printed.
import { GatewayError } from '../errors/gateway-error.js';

type Details = Readonly<Record<string, unknown>>;

/** The call was not executed, as far as the backend let us know. */
export function unavailable(backend: string, reason: string, more: Details = {}, cause?: unknown): GatewayError {
  return new GatewayError('BACKEND_UNAVAILABLE', { message: reason, details: { backend, reason, ...more }, cause });
}

/** The call was sent and its answer did not arrive. */
export function outcomeUnknown(backend: string, reason: string, cause?: unknown): GatewayError {
  return new GatewayError('OUTCOME_UNKNOWN', { message: reason, details: { backend, reason }, cause });
}

export function timedOut(backend: string, more: Details = {}): GatewayError {
  return new GatewayError('BACKEND_TIMEOUT', { details: { backend, reason: 'timeout', ...more } });
}
