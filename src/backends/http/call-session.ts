// What a call needs of the session it runs in.
import type { GatewayError } from '../../errors/gateway-error.js';
import type { RequestId } from '../../protocol/json-rpc.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendSessionHost } from '../backend.js';
import type { AskingCall } from '../questions.js';
import type { OpenState, OpenWaiter } from './open-state.js';
import type { HttpTransport } from './transport.js';

export interface BackendRequest {
  readonly id: RequestId;
  readonly method: string;
  readonly json: Buffer;
}

/** A call as its session sees it. */
export interface SessionCall extends OpenWaiter, AskingCall {
  shut(error: GatewayError): void;
}

export interface CallSession {
  readonly transport: HttpTransport;
  readonly host: BackendSessionHost;
  /** The session in force, or the one of an earlier owner that is still to be confirmed. */
  readonly known: OpenState | undefined;
  /** Calls `opened` with the session in force, now or when it is open. */
  awaitOpen(call: OpenWaiter, headers: Headers): void;
  /**
   * The backend lost the session of `generation`: calls `opened` with another one, or `openFailed`. It is opened with the client
   * headers of the request that found out: those of the first one may have run out since.
   */
  recover(call: OpenWaiter, generation: number, sentAtMs: number, headers: Headers): void;
  leave(call: OpenWaiter): void;
  /** The caller has its answer; the call is no longer the session's business. */
  finished(call: SessionCall): void;
  /** Tells the backend that an answer is no longer wanted. */
  tellCancelled(state: OpenState, requestId: RequestId, reason: string, headers: Headers): void;
  /** A request of the backend: answered, or passed on to the client. `call`: in whose answer it came. */
  asked(state: OpenState, request: BackendRequest, headers: Headers, call?: SessionCall): void;
  /** A notification of the backend, as the client is to see it. */
  translate(method: string, json: Buffer): Buffer | string | undefined;
}
