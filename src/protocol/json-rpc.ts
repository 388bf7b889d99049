// JSON-RPC 2.0 shapes and the cheap hand-written guards of the hot path. Never validates more than routing needs.

export type RequestId = string | number;

export interface JsonRpcRequest {
  readonly jsonrpc: '2.0';
  readonly id: RequestId;
  readonly method: string;
  params?: Record<string, unknown>;
}

export interface JsonRpcNotification {
  readonly jsonrpc: '2.0';
  readonly method: string;
  params?: Record<string, unknown>;
}

/** A response that a client posts, or that a backend sends. */
export interface JsonRpcResponse {
  readonly jsonrpc: '2.0';
  readonly id: RequestId;
  readonly result?: unknown;
  readonly error?: JsonRpcErrorObject;
}

export interface JsonRpcErrorObject {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

export type JsonRpcMessage = JsonRpcRequest | JsonRpcNotification | JsonRpcResponse;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value));
}

/** What kind of JSON-RPC message a parsed value is; `invalid` for anything else. */
export function classifyMessage(value: unknown): 'request' | 'notification' | 'response' | 'invalid' {
  if (!isObject(value) || value.jsonrpc !== '2.0') return 'invalid';
  if (typeof value.method === 'string') {
    if (value.params !== undefined && value.params !== null && typeof value.params !== 'object') return 'invalid';
    if (!('id' in value)) return 'notification';
    return isRequestId(value.id) ? 'request' : 'invalid';
  }
  if (!isRequestId(value.id)) return 'invalid';
  return 'result' in value !== 'error' in value ? 'response' : 'invalid';
}

/** Keys that decide who may do what; at the top and in params. */
const DECISIVE_KEYS = ['jsonrpc', 'id', 'method', 'params'];
const DECISIVE_PARAMS = ['name', 'uri', 'ref', 'server_id', 'arguments'];

/**
 * Whether a request has a key that differs only in case from one that we decide by. Backends whose JSON library takes keys without
 * regard to case would read another message than the one that was checked.
 */
export function hasAmbiguousKeys(message: Record<string, unknown>): boolean {
  return differsInCase(message, DECISIVE_KEYS) || (isObject(message.params) && differsInCase(message.params, DECISIVE_PARAMS));
}

function differsInCase(object: Record<string, unknown>, exact: readonly string[]): boolean {
  for (const key of Object.keys(object)) if (!exact.includes(key) && exact.includes(key.toLowerCase())) return true;
  return false;
}

/** Under which whoever sends a request with these params wants to hear of its progress, as it came; undefined if it names none. */
export function progressTokenOf(params: unknown): unknown {
  return isObject(params) && isObject(params._meta) ? params._meta.progressToken : undefined;
}

/** The id of a request that was read, even where the rest of it is not usable; undefined if there is none to echo. */
export function readRequestId(value: unknown): RequestId | undefined {
  return isObject(value) && isRequestId(value.id) ? value.id : undefined;
}

/** Text of a JSON-RPC error answer; `id: null` where the caller's id could not be read. Data that cannot be written is left out. */
export function errorText(id: RequestId | undefined, error: JsonRpcErrorObject): string {
  const answer = { jsonrpc: '2.0', id: id ?? null, error };
  const { code, message } = error;
  return textOf(answer) ?? JSON.stringify({ ...answer, error: { code, message } });
}

/** Text of a JSON-RPC result whose `result` is already JSON text: spliced, not parsed. */
export function resultText(id: RequestId, resultJson: string): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${resultJson}}`;
}

/** Undefined for what can be read but not written: a value nested thousands of levels deep exhausts the stack. */
export function textOf(message: object): string | undefined {
  try {
    return JSON.stringify(message);
  } catch {
    return undefined;
  }
}
