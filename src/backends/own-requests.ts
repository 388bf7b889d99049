// Asks a backend something on the gateway's own behalf (lists, log levels) and parses the answer.
import { randomBytes } from 'node:crypto';
import { GatewayError } from '../errors/gateway-error.js';
import { classifyMessage, type JsonRpcResponse } from '../protocol/json-rpc.js';
import type { Headers } from '../streams/exchange.js';
import type { BackendSession, CallSink } from './backend.js';

/** A list may be long, but not without end. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/** Ids that no client uses by accident: backends that track ids per session see no clash. */
const ID_PREFIX = `berth-${randomBytes(6).toString('base64url')}-`;

export interface OwnRequest {
  readonly method: string;
  readonly params: Record<string, unknown>;
  readonly headers: Headers;
  /** Monotonic. */
  readonly deadlineMs: number;
  /** See BackendCall. */
  readonly isPreparation?: boolean;
}

export class OwnRequests {
  #next = 0;

  /**
   * @returns the backend's response, error responses included
   * @throws GatewayError BACKEND_UNAVAILABLE, BACKEND_TIMEOUT, OUTCOME_UNKNOWN, NOT_OWNER when there is none
   */
  request(session: BackendSession, request: OwnRequest): Promise<JsonRpcResponse> {
    const message = {
      jsonrpc: '2.0' as const,
      id: `${ID_PREFIX}${++this.#next}`,
      method: request.method,
      params: request.params,
    };
    return new Promise((resolve, reject) => {
      const sink = new CollectingSink(session.backend, resolve, reject);
      const { headers, deadlineMs, isPreparation = false } = request;
      session.call({ message, bytes: JSON.stringify(message), headers, deadlineMs, sink, isPreparation });
    });
  }
}

class CollectingSink implements CallSink {
  resume: (() => void) | undefined;
  readonly #backend: string;
  readonly #resolve: (response: JsonRpcResponse) => void;
  readonly #reject: (error: Error) => void;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(backend: string, resolve: (response: JsonRpcResponse) => void, reject: (error: Error) => void) {
    this.#backend = backend;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  message(json: Buffer | string, final: boolean): boolean {
    if (final) this.#settle(json.toString());
    return true;
  }

  bodyStart(): void {}

  bodyChunk(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes <= MAX_ANSWER_BYTES) this.#chunks.push(chunk);
    return true;
  }

  bodyEnd(): void {
    if (this.#bytes > MAX_ANSWER_BYTES) this.fail(this.#unusable('its answer is too large'));
    else this.#settle(Buffer.concat(this.#chunks).toString());
  }

  fail(error: GatewayError): void {
    this.#reject(error);
  }

  #settle(text: string): void {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      this.#reject(this.#unusable('its answer is not JSON'));
      return;
    }
    if (classifyMessage(value) === 'response') this.#resolve(value as JsonRpcResponse);
    else this.#reject(this.#unusable('its answer is not a JSON-RPC response'));
  }

  #unusable(message: string): GatewayError {
    return new GatewayError('BACKEND_UNAVAILABLE', { message, details: { backend: this.#backend, reason: 'protocol' } });
  }
}
