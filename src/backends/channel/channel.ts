// A connection on which a backend's answers come on one shared channel: the stdout of a child, the event stream of an HTTP+SSE
// server. The backend's state lives and dies with it.
import type { GatewayError } from '../../errors/gateway-error.js';
import type { JsonRpcNotification } from '../../protocol/json-rpc.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendCall, RunningCall } from '../backend.js';

/** One life of the connection; another one is another backend session. */
export interface Channel {
  /** Why no call can be taken any more; undefined while it works. */
  readonly failure: GatewayError | undefined;
  /** Resolves when nothing of it is left. Never rejects. */
  readonly gone: Promise<void>;
  /** Resolves when messages can be sent. @throws GatewayError */
  ready(deadlineMs: number): Promise<void>;
  /**
   * @param timeoutMs how long the backend may take; the call's own deadline bounds it too
   * @param onNotRun runs instead of the sink's end where the backend said that it lost this session and therefore ran nothing
   */
  call(call: BackendCall, timeoutMs: number, onNotRun?: () => void): RunningCall;
  /** The backend agreed on this revision: initialize is over, and no other message has left. */
  agreed(protocolVersion: string): void;
  /** Sends a notification. Resolves when the backend has it, with an error if it did not take it; never rejects. */
  notify(message: JsonRpcNotification, headers: Headers): Promise<GatewayError | undefined>;
  /** Ends it; calls in flight fail with `error`, marked if they may have run. */
  close(error: GatewayError): void;
  /** For the log: it was opened in vain. */
  noteFailedOpening(error: GatewayError): void;
}

/** A call on its way to the backend. Of `onRefused`, `onFailed` and `onLost` at most one runs, and none after the call is over. */
export interface Outgoing {
  /** On the channel. */
  readonly id: number;
  readonly text: Buffer | string;
  /** Headers of the client that may be passed on. */
  readonly headers: Headers;
  /** Monotonic: by then its answer is due. */
  readonly deadlineMs: number;
  /** Asked right before the bytes leave: false drops it. */
  isWanted(): boolean;
  /** The guard refused it: nothing was written. */
  onRefused(): void;
  /** Its bytes leave: from now on it may have run. */
  onWritten(): void;
  /** It left, but certainly did not run; one of the ends below follows. */
  onNotRun(): void;
  /** The backend did not take it, or it is unknown whether it did. */
  onFailed(error: GatewayError): void;
  /** The backend refused it because it lost the session: it did not run. */
  onLost(error: GatewayError): void;
}

/** How messages get to the backend, and how the reading of what it says is stopped. */
export interface Wire {
  /** @returns false if too much waits already: then nothing happened */
  send(outgoing: Outgoing): boolean;
  /** Sends what has no answer. As `Channel.notify`. `what`: its method, `answer` or `response`, for the log. */
  say(text: Buffer | string, headers: Headers, what: string): Promise<GatewayError | undefined>;
  pause(): void;
  resume(): void;
}
