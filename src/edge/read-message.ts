// The body of a POST: read whole, parsed once a worker, server_id injected; by this one function at the edge and behind the hop.
import { GatewayError } from '../errors/gateway-error.js';
import {
  classifyMessage,
  hasAmbiguousKeys,
  type JsonRpcMessage,
  type JsonRpcRequest,
  type RequestId,
  readRequestId,
} from '../protocol/json-rpc.js';
import { injectServerId } from '../servers/inject-server-id.js';
import type { RequestBody } from '../streams/exchange.js';

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
 * @throws UnusableMessage PARSE_ERROR, INVALID_REQUEST, BATCH_UNSUPPORTED, INVALID_PARAMS
 */
export function readMessage(bytes: Buffer, serverId: string): RequestBody {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new UnusableMessage(new GatewayError('PARSE_ERROR'), undefined);
  }
  if (Array.isArray(value)) throw new UnusableMessage(new GatewayError('BATCH_UNSUPPORTED'), undefined);
  const kind = classifyMessage(value);
  if (kind === 'invalid') throw new UnusableMessage(new GatewayError('INVALID_REQUEST'), readRequestId(value));
  if (hasAmbiguousKeys(value as Record<string, unknown>)) {
    const error = new GatewayError('INVALID_REQUEST', { message: 'a key differs only in case from one of the protocol' });
    throw new UnusableMessage(error, readRequestId(value));
  }
  const message = value as JsonRpcMessage;
  if (kind !== 'request') return { kind, message, bytes } as RequestBody;
  try {
    const { keepsClientBytes } = injectServerId(message, serverId);
    return { kind, message: message as JsonRpcRequest, bytes, mayRelay: keepsClientBytes };
  } catch (error) {
    throw new UnusableMessage(error as GatewayError, readRequestId(value));
  }
}
