// The one error class. Made only through the catalog; `details` may be shown to the caller, `cause` goes to the log only.
import { randomUUID } from 'node:crypto';
import type { JsonRpcErrorObject } from '../protocol/json-rpc.js';
import { CATALOG, type ErrorCode } from './catalog.js';

export interface ErrorOptions {
  /** Said after the catalog's sentence; must hold no secret and no input that was not checked. */
  readonly message?: string;
  /** Goes into JSON-RPC `data`; safe to show. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
  /** Seconds for `Retry-After`; default 1 where the verdict is `after`. */
  readonly retryAfterSeconds?: number;
  /** Value of `WWW-Authenticate`, with 401. */
  readonly challenge?: string;
}

export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly challenge: string | undefined;

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    const entry = CATALOG[code];
    super(options.message ? `${entry.message}: ${options.message}` : entry.message, { cause: options.cause });
    this.name = 'GatewayError';
    this.code = code;
    this.details = options.details;
    this.challenge = options.challenge;
    this.retryAfterSeconds = entry.retry === 'after' ? (options.retryAfterSeconds ?? 1) : undefined;
  }

  /** HTTP status by the table of the contract. */
  get status(): number {
    return CATALOG[this.code].status;
  }

  /** The JSON-RPC error object that the caller sees. */
  toJsonRpc(): JsonRpcErrorObject {
    const entry = CATALOG[this.code];
    return {
      code: entry.rpcCode,
      message: this.message,
      ...(this.details ? { data: this.details } : {}),
    };
  }
}

/**
 * What a call hears that may have run when its session ended: the same answer, marked, because the unknown-session answer alone is
 * taken for "was not begun", and a caller who believes it would run the call twice.
 */
export function forBegunCall(error: GatewayError): GatewayError {
  if (error.code !== 'SESSION_NOT_FOUND') return error;
  return new GatewayError(error.code, { details: { ...error.details, executed: 'unknown' }, cause: error.cause });
}

/** Wraps anything thrown, with an id by which the caller's report finds the log's line; a GatewayError stays what it is. */
export function toGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  return new GatewayError('INTERNAL', { cause: error, details: { correlationId: randomUUID() } });
}

/** `Retry-After`, where waiting helps. */
export function retryHeader(error: GatewayError): Readonly<Record<string, string>> {
  return error.retryAfterSeconds === undefined ? {} : { 'retry-after': String(error.retryAfterSeconds) };
}
