// THE one function that scopes a request to its virtual server, on every path, local and forwarded; and its inverse,
// without which nothing goes to a backend. Every scoping bug known in this field came from a second place that did this.
import { GatewayError } from '../errors/gateway-error.js';
import { isObject, type JsonRpcMessage, type JsonRpcRequest } from '../protocol/json-rpc.js';

const SERVER_ID = 'server_id';

export interface Injection {
  /** The message is no longer what the client sent. */
  readonly changed: boolean;
  /**
   * What withoutServerId leaves is what the client sent: its own bytes may go to a backend. False if the client named a server_id
   * (which no backend may see) or sent `params: null` (which backends need not accept).
   */
  readonly keepsClientBytes: boolean;
}

const UNTOUCHED: Injection = { changed: false, keepsClientBytes: true };

/**
 * Sets `params.server_id` of a request, in place, replacing what the client sent there: a client cannot choose its scope. Absent
 * and null params become an object. For '' (all backends) it removes server_id instead. Notifications and responses keep their params.
 * @throws GatewayError INVALID_PARAMS for params that are an array or no object, on every path: MCP knows named params only
 */
export function injectServerId(message: JsonRpcMessage, serverId: string): Injection {
  if (!isRequest(message)) return UNTOUCHED;
  const params: unknown = message.params;
  if (params === undefined || params === null) {
    const keepsClientBytes = params === undefined;
    if (serverId !== '') message.params = { [SERVER_ID]: serverId };
    else if (params === null) message.params = {};
    return { changed: serverId !== '' || !keepsClientBytes, keepsClientBytes };
  }
  if (!isObject(params)) throw new GatewayError('INVALID_PARAMS');
  const named = Object.hasOwn(params, SERVER_ID);
  if (serverId === '') {
    if (named) delete params[SERVER_ID];
    return { changed: named, keepsClientBytes: !named };
  }
  const changed = params[SERVER_ID] !== serverId;
  params[SERVER_ID] = serverId;
  return { changed, keepsClientBytes: !named };
}

/**
 * The request as a backend may see it: the scope has done its work. A copy, since the message itself may still have to go over a hop.
 * @param changed params that the backend calls otherwise
 */
export function withoutServerId(message: JsonRpcRequest, changed?: Readonly<Record<string, unknown>>): JsonRpcRequest {
  const { [SERVER_ID]: _, ...params } = message.params ?? {};
  return { ...message, params: changed ? { ...params, ...changed } : params };
}

function isRequest(message: JsonRpcMessage): message is JsonRpcRequest {
  return 'method' in message && 'id' in message;
}
