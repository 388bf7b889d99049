// What one line of the client is. Read once, here; the bytes go to the gateway as they came.
import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../errors/gateway-error.js';
import { classifyMessage, errorText, isObject, type RequestId, readRequestId } from '../protocol/json-rpc.js';

export type Incoming =
  | { readonly kind: 'request'; readonly id: RequestId; readonly method: string; readonly message: Record<string, unknown> }
  | { readonly kind: 'notification'; readonly method: string; readonly message: Record<string, unknown> }
  | { readonly kind: 'response'; readonly id: RequestId }
  | { readonly kind: 'batch'; readonly ids: readonly RequestId[]; readonly methods: readonly string[] }
  /** Not sent; `answer` goes to the client. */
  | { readonly kind: 'refused'; readonly answer: string };

/** Requests that may be sent again although they may have run: they only read, or a second time changes nothing. */
const SAFE_METHODS = /^(?:initialize|ping|logging\/setLevel|resources\/(?:un)?subscribe|[a-z]+(?:\/templates)?\/list)$/;

export const isSafeMethod = (method: string): boolean => SAFE_METHODS.test(method);

/** Ids as keys: `1` and `"1"` are two. */
export const keyOf = (id: RequestId): string => (typeof id === 'string' ? `"${id}` : String(id));

/** Classifies one line. Never throws. */
export function readLine(line: Buffer): Incoming {
  const value = isUtf8(line) ? parse(line.toString('utf8')) : undefined;
  if (value === undefined)
    return refuse(undefined, new GatewayError('PARSE_ERROR', { message: 'one JSON message a line, as UTF-8' }));
  if (Array.isArray(value)) return readBatch(value);
  const message = value as Record<string, unknown>;
  switch (classifyMessage(value)) {
    case 'request':
      return { kind: 'request', id: message.id as RequestId, method: message.method as string, message };
    case 'notification':
      return { kind: 'notification', method: message.method as string, message };
    case 'response':
      return { kind: 'response', id: message.id as RequestId };
    case 'invalid':
      return refuse(readRequestId(value), new GatewayError('INVALID_REQUEST'));
  }
}

function readBatch(parts: readonly unknown[]): Incoming {
  const ids: RequestId[] = [];
  const methods: string[] = [];
  for (const part of parts) {
    const kind = classifyMessage(part);
    if (kind === 'invalid') return refuse(undefined, new GatewayError('INVALID_REQUEST'));
    if (kind !== 'request') continue;
    const { id, method } = part as { id: RequestId; method: string };
    ids.push(id);
    methods.push(method);
  }
  const isUsable = parts.length > 0 && new Set(ids.map(keyOf)).size === ids.length && !methods.includes('initialize');
  return isUsable ? { kind: 'batch', ids, methods } : refuse(undefined, new GatewayError('INVALID_REQUEST'));
}

/** A scalar member: what stands in front of params in what the SDKs write. */
const LEADING = /^\s*\{((?:\s*"(?:jsonrpc|id|method)"\s*:\s*(?:"(?:[^"\\]|\\.)*"|-?\d+)\s*,)*)/;
const ID = /"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d{1,15})/;
/** As the last member these bytes can belong to the outermost object alone. */
const TRAILING_ID = /,\s*"id"\s*:\s*(-?\d{1,15}|"[^"\\]{0,256}")\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$/;

/**
 * The answer to a line that is too long to be kept, from its two ends. Its id is told only where it is certain that the line is a
 * request: the id of an answer (or a guess) would end another request of the client.
 */
export function refuseTooLong(head: Buffer, tail: Buffer, limitBytes: number): Incoming {
  const leading = LEADING.exec(head.toString('utf8'))?.[1] ?? '';
  const id = leading.includes('"method"') ? (ID.exec(leading)?.[1] ?? TRAILING_ID.exec(tail.toString('utf8'))?.[1]) : undefined;
  const error = new GatewayError('BODY_TOO_LARGE', { message: `the bridge takes messages of ${limitBytes} bytes at most` });
  return refuse(id === undefined ? undefined : (parse(id) as RequestId), error);
}

/** The request that a `notifications/cancelled` names. */
export function cancelledId(message: Record<string, unknown>): RequestId | undefined {
  const id = isObject(message.params) ? message.params.requestId : undefined;
  return typeof id === 'string' || typeof id === 'number' ? id : undefined;
}

/** The value of JSON text; undefined if it is none. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const refuse = (id: RequestId | undefined, error: GatewayError): Incoming => ({
  kind: 'refused',
  answer: errorText(id, error.toJsonRpc()),
});
