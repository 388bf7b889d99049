// The body of a POST: read whole, parsed once a worker, server_id injected; by this one function at the edge and behind the hop.
import { GatewayError } from '../errors/gateway-error.js';
import { elementsOf, MAX_BATCH } from '../protocol/batch.js';
import {
  classifyMessage,
  hasAmbiguousKeys,
  isObject,
  type JsonRpcMessage,
  type JsonRpcRequest,
  type RequestId,
  readRequestId,
} from '../protocol/json-rpc.js';
import { injectServerId } from '../servers/inject-server-id.js';
import { MODERN_VERSION_KEY } from '../protocol/mcp.js';
import type { BatchBody, BatchPart, MessageBody, RequestBody } from '../streams/exchange.js';

/** An error that knows whom it answers: the id was read although the message cannot be used. */
export class UnusableMessage extends Error {
  readonly error: GatewayError;
  readonly id: RequestId | undefined;

  constructor(error: GatewayError, id: RequestId | undefined) {
    super(error.message, { cause: error });
    this.error = error;
    this.id = id;
  }
}

/**
 * @param serverId of the path; '' for all backends
 * @throws UnusableMessage PARSE_ERROR, INVALID_REQUEST, BATCH_INVALID, INVALID_PARAMS
 */
export function readMessage(bytes: Buffer, serverId: string): RequestBody {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new UnusableMessage(new GatewayError('PARSE_ERROR'), undefined);
  }
  return Array.isArray(value) ? readBatch(value, bytes, serverId) : readValue(value, bytes, serverId);
}

function readValue(value: unknown, bytes: Buffer, serverId: string): MessageBody {
  const kind = classifyMessage(value);
  if (kind === 'invalid') throw new UnusableMessage(new GatewayError('INVALID_REQUEST'), readRequestId(value));
  if (hasAmbiguousKeys(value as Record<string, unknown>)) {
    const error = new GatewayError('INVALID_REQUEST', { message: 'a key differs only in case from one of the protocol' });
    throw new UnusableMessage(error, readRequestId(value));
  }
  const message = value as JsonRpcMessage;
  if (kind !== 'request') return { kind, message, bytes } as MessageBody;
  try {
    const { keepsClientBytes } = injectServerId(message, serverId);
    return { kind, message: message as JsonRpcRequest, bytes, mayRelay: keepsClientBytes };
  } catch (error) {
    throw new UnusableMessage(error as GatewayError, readRequestId(value));
  }
}

/** Whether the session may send one is the owner's to say: the edge does not know what the session negotiated. */
function readBatch(values: readonly unknown[], bytes: Buffer, serverId: string): BatchBody {
  if (values.length === 0) refuseBatch('it is empty');
  if (values.length > MAX_BATCH) refuseBatch(`it holds ${values.length} messages, ${MAX_BATCH} is the most`);
  if (values.some(isModernClaim)) refuseBatch('no message in it may claim a later revision');
  const elements = elementsOf(bytes);
  const ids = new Set<RequestId>();
  const parts = values.map((value) => {
    const own = elements.next().value as Buffer;
    return readPart(value, own, serverId, ids);
  });
  return { kind: 'batch', parts, ids: [...ids], bytes };
}

/** @param ids of the requests before it; its own is added */
function readPart(value: unknown, bytes: Buffer, serverId: string, ids: Set<RequestId>): BatchPart {
  const kind = classifyMessage(value);
  // An error under the id of a message that is no request could be taken for the answer to one.
  const id = kind === 'request' ? readRequestId(value) : undefined;
  if (id !== undefined && ids.has(id)) return refused(undefined, 'two requests of the batch have one id');
  if (id !== undefined) ids.add(id);
  if (kind === 'request' && (value as JsonRpcRequest).method === 'initialize') {
    return refused(id, 'initialize must not be part of a batch');
  }
  try {
    return readValue(value, bytes, serverId);
  } catch (error) {
    return { kind: 'refused', id, error: (error as UnusableMessage).error.toJsonRpc() };
  }
}

function refused(id: RequestId | undefined, message: string): BatchPart {
  return { kind: 'refused', id, error: new GatewayError('INVALID_REQUEST', { message }).toJsonRpc() };
}

function refuseBatch(message: string): never {
  throw new UnusableMessage(new GatewayError('BATCH_INVALID', { message }), undefined);
}

function isModernClaim(value: unknown): boolean {
  const params = isObject(value) ? value.params : undefined;
  const meta = isObject(params) ? params._meta : undefined;
  return isObject(meta) && Object.hasOwn(meta, MODERN_VERSION_KEY);
}
