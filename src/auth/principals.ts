// Who calls: a name that survives the rotation of whatever proved it, never the bytes of a credential.
import { digestOf } from '../protocol/ids.js';
import type { Principal } from '../streams/exchange.js';

/** Every caller under `auth.mode: none`. */
export const ANONYMOUS: Principal = principalOf('anonymous');

/** Whoever sends a key of this id. The prefix keeps ids apart from `anonymous` and from what other modes will name. */
export function keyPrincipal(id: string): Principal {
  return principalOf(`key:${id}`);
}

function principalOf(name: string): Principal {
  return { name, digest: digestOf(name) };
}

/** What authentication says of a request. */
export interface Caller {
  readonly principal: Principal;
  /** Lower-case names of the headers whose values were meant for the gateway: they go no further, whatever a backend asks for. */
  readonly consumed: readonly string[];
}

/**
 * What a connection has shown already, so that each further request with the very same headers need not be hashed. Only equal headers are
 * believed: a balancer sends requests of many callers over one connection. Ends with the connection, and with any change of the keys.
 */
export interface Shown {
  readonly authorization: string | undefined;
  readonly apiKey: string | string[] | undefined;
  /** All that was known when it was judged. */
  readonly known: object;
  readonly caller: Caller;
}

/** The connection of a request: its socket. */
export interface ShowingConnection {
  shown?: Shown;
}

/** Decides by the headers of a request who sent it. @throws GatewayError UNAUTHENTICATED, with a challenge */
export type Authenticate = (
  headers: Readonly<Record<string, string | string[] | undefined>>,
  connection: ShowingConnection,
) => Caller;
