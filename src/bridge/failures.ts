// What a caller is told when the gateway gave no answer of its own. No address, header, token or session id ever stands in it.
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../errors/gateway-error.js';
import { isObject, type JsonRpcErrorObject } from '../protocol/json-rpc.js';
import { parse } from './message.js';

const CREDENTIAL_REMEDY = `Set BERTH_TOKEN in the bridge's environment, or pass --header 'Authorization: Bearer …'.`;

/** Nothing was begun: the gateway could not be reached, or said so. */
export function unreachable(reason: string): JsonRpcErrorObject {
  const error = new GatewayError('BACKEND_UNAVAILABLE', { details: { reason } });
  return { ...error.toJsonRpc(), message: `Gateway unavailable: ${reason}; the request was not executed` };
}

/** The request was sent and its answer is lost. */
export function outcomeUnknown(reason: string, more: Readonly<Record<string, unknown>> = {}): JsonRpcErrorObject {
  return new GatewayError('OUTCOME_UNKNOWN', { message: reason, details: { reason, ...more } }).toJsonRpc();
}

/** The error of a JSON-RPC error body, as it is. */
export function errorOf(body: string): JsonRpcErrorObject | undefined {
  const value = parse(body);
  const error = isObject(value) ? value.error : undefined;
  return isObject(error) && typeof error.code === 'number' && typeof error.message === 'string'
    ? (error as unknown as JsonRpcErrorObject)
    : undefined;
}

/** Whether the gateway's own answer, with 503 or 429, is one of those that say that nothing was begun (docs/errors.md). */
export const saysNotBegun = (body: string): boolean => errorOf(body)?.code === -32000;

/** Whether an error says of itself that the request may have run. */
export const mayHaveRun = ({ data }: JsonRpcErrorObject): boolean => isObject(data) && data.executed === 'unknown';

/** The error for an HTTP status that ends the attempt. */
export function statusError(status: number, headers: IncomingHttpHeaders, body: string): JsonRpcErrorObject {
  const told = errorOf(body);
  if (status === 401 || status === 403) {
    const message = `${told?.message ?? (status === 401 ? 'Unauthorized' : 'Forbidden')}. ${CREDENTIAL_REMEDY}`;
    return { ...told, code: told?.code ?? -32000, message, data: told?.data ?? { status } };
  }
  if (told) return told;
  const data = { status };
  if (status >= 300 && status < 400) {
    const to = hostOf(headers.location);
    return {
      code: -32000,
      message: `The gateway's address answers with a redirect${to ? ` to ${to}` : ''}, which is not followed: give the bridge the final URL`,
      data,
    };
  }
  if (status === 404)
    return { code: -32000, message: 'Not found (HTTP 404): no MCP endpoint at the URL given to the bridge', data };
  return { code: -32000, message: `The gateway answered HTTP ${status}`, data };
}

/** Host alone: the rest of a location may hold a token. */
function hostOf(location: unknown): string | undefined {
  try {
    return new URL(String(location)).host || undefined;
  } catch {
    return undefined;
  }
}

/** Milliseconds of a `Retry-After` (seconds or a date); undefined without a usable one. */
export function retryAfterMs(value: unknown, wallMs: number): number | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - wallMs);
}

const TLS_CODE = /^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|CRL_|EPROTO$)/;
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name cannot be looked up',
  ETIMEDOUT: 'no connection in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  EHOSTUNREACH: 'no way to its network',
  ENETUNREACH: 'no way to its network',
  ECONNRESET: 'connection lost',
  EPIPE: 'connection lost',
  UND_ERR_SOCKET: 'connection lost',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
};

/** Why a connection failed. `isLasting`: no time will mend it. */
export function reasonOf(error: unknown): { readonly text: string; readonly isLasting: boolean } {
  const code = isObject(error) && typeof error.code === 'string' ? error.code : '';
  if (TLS_CODE.test(code)) return { text: `TLS refused (${code})`, isLasting: true };
  if (code.startsWith('HPE_')) return { text: 'what answers there does not speak HTTP', isLasting: true };
  return { text: REASONS[code] ?? 'connection failed', isLasting: false };
}
