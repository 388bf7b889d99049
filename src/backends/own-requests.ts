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
  /** Of several requests together: what comes is taken off, and beyond it the request fails. Default one of its own, 32 MiB. */
  readonly budget?: AnswerBudget;
}

export interface AnswerBudget {
  leftBytes: number;
}

export const makeAnswerBudget = (): AnswerBudget => ({ leftBytes: MAX_ANSWER_BYTES });

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
      const { headers, deadlineMs, isPreparation = false, budget = makeAnswerBudget() } = request;
      const sink = new CollectingSink({ backend: session.backend, id: message.id, budget }, resolve, reject);
      session.call({ message, bytes: JSON.stringify(message), headers, deadlineMs, sink, isPreparation });
    });
  }
}

interface Asked {
  readonly backend: string;
  readonly id: string;
  readonly budget: AnswerBudget;
}

class CollectingSink implements CallSink {
  resume: (() => void) | undefined;
  readonly #asked: Asked;
  readonly #resolve: (response: JsonRpcResponse) => void;
  readonly #reject: (error: Error) => void;
  #chunks: Buffer[] = [];

  constructor(asked: Asked, resolve: (response: JsonRpcResponse) => void, reject: (error: Error) => void) {
    this.#asked = asked;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  message(json: Buffer | string, final: boolean): boolean {
    if (!final) return true;
    this.#take(json.length);
    this.#end(json);
    return true;
  }

  bodyStart(): void {}

  bodyChunk(chunk: Buffer): boolean {
    this.#take(chunk.length);
    // What was kept is of no more use.
    if (this.#isTooLarge) this.#chunks = [];
    else this.#chunks.push(chunk);
    return true;
  }

  bodyEnd(): void {
    this.#end(Buffer.concat(this.#chunks));
  }

  fail(error: GatewayError): void {
    this.#reject(error);
  }

  get #isTooLarge(): boolean {
    return this.#asked.budget.leftBytes < 0;
  }

  #take(bytes: number): void {
    this.#asked.budget.leftBytes -= bytes;
  }

  #end(json: Buffer | string): void {
    if (this.#isTooLarge) this.fail(this.#unusable('its answer is too large'));
    else this.#settle(json.toString());
  }

  #settle(text: string): void {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      this.#reject(this.#unusable('its answer is not JSON'));
      return;
    }
    const response = value as JsonRpcResponse;
    if (classifyMessage(value) !== 'response') this.#reject(this.#unusable('its answer is not a JSON-RPC response'));
    // An error may stand without the id of what it could not read; a result belongs to who asked for it.
    else if (!response.error && response.id !== this.#asked.id) this.#reject(this.#unusable('it answered another request'));
    else this.#resolve(response);
  }

  #unusable(message: string): GatewayError {
    return new GatewayError('BACKEND_UNAVAILABLE', { message, details: { backend: this.#asked.backend, reason: 'protocol' } });
  }
}
