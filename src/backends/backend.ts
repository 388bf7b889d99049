// Contract of a backend session: the back half of two. A front half (legacy now, modern later) hands it calls and
// receives messages as JSON text; neither knows the other's era or transport. Backends get the guard and the record writer
// injected and import neither sessions nor the directory's implementation.
import type { BackendSessionRecord } from '../directory/directory.js';
import type { GatewayError } from '../errors/gateway-error.js';
import type { JsonRpcErrorObject, JsonRpcNotification, JsonRpcRequest, RequestId } from '../protocol/json-rpc.js';
import type { Capabilities, Implementation } from '../protocol/mcp.js';
import type { Headers } from '../streams/exchange.js';

/** Where the stream outside calls begins, unless it runs already. */
export interface ListenFrom extends ResumePoint {
  /** Also if it runs: what it brought is wanted once more. */
  readonly again: boolean;
}

/** What a backend told of itself at initialize. */
export interface BackendInfo {
  readonly protocolVersion: string;
  readonly capabilities: Capabilities;
  readonly serverInfo?: Implementation;
  readonly instructions?: string;
}

/** One request of a session to one of its backends. */
export interface BackendCall {
  /** Without server_id, names already the backend's own. */
  readonly message: JsonRpcRequest;
  /** The same message as text, ready to be sent. */
  readonly bytes: Buffer | string;
  /** Client headers that may be passed on (forwardHeaders picks from them). */
  readonly headers: Headers;
  /** Monotonic time by which the answer is due; also bounds opening and recovery. */
  readonly deadlineMs: number;
  /** What the backend answers. */
  readonly sink: CallSink;
  /** Of what prepares an open session (`BackendSessionHost.opened`): ahead of those who wait for that, and no reason to open it anew. */
  readonly isPreparation?: boolean;
  /** Begun by an earlier owner: nothing is sent again, the stream of its answer goes on. Only where `resumesStreams`. */
  readonly resume?: ResumePoint;
}

/** Where an event stream of a backend goes on. */
export interface ResumePoint {
  /** The backend's own id of the last event that was passed on; checked by whoever makes it. */
  readonly eventId: string;
  /** Of the backend session that issued it. */
  readonly generation: number;
}

/**
 * Where the answer of a call goes: messages, then exactly one end: a final `message`, or `bodyEnd` after `bodyStart`, or `fail`.
 * Nothing comes after the end.
 */
export interface CallSink {
  /**
   * One JSON-RPC message that belongs to the call, as JSON text (of an SSE event, or a line of stdio). `final`: it is the response.
   * @returns false: the caller reads slowly; send no more until `resume` is called.
   */
  message(json: Buffer | string, final: boolean): boolean;
  /**
   * The backend's own id of the event whose message follows; undefined: it has none. `isAlone`: the event has no message, and everything
   * before it has been handed on.
   */
  mark?(eventId: string | undefined, isAlone?: boolean): void;
  /** The response comes as the bytes of one JSON body, relayed unparsed (HTTP backends, application/json, status 200). */
  bodyStart(contentLength: number | undefined): void;
  /** @returns as for `message`. */
  bodyChunk(chunk: Buffer): boolean;
  bodyEnd(): void;
  /**
   * The backend closed the stream of its answer and goes on in another one: it says by that that the answer takes its time. Told at each
   * such break.
   * @param retryMs the backend ended the stream in order and wants to be asked again after so long (SEP-1699); undefined: it named no
   * time, or the stream broke
   */
  delayed?(retryMs: number | undefined): void;
  /** The call ended without a response of the backend; or, after bodyStart, broke off. */
  fail(error: GatewayError): void;
  /** Set by the backend: run when the caller reads again after `false`, or has left. */
  resume: (() => void) | undefined;
  /**
   * After `false`: so much waits for the caller that whoever goes on may lose him his stream (never the answer itself). Whoever reads
   * for others as well stops only then. Default true.
   */
  readonly isNearBound?: boolean;
  /**
   * After `false`: others wait for what the call holds. The caller is given up, the call goes on: `resume` runs, and nothing more is
   * answered by `false` until somebody reads again.
   */
  letGo?(): void;
  /** Whether a `message` that is no end may now be a request to the caller, as a stream can carry it. Default false. */
  readonly carriesRequests?: boolean;
}

/** A request of a backend to the client: sampling, elicitation, roots. */
export interface BackendAsk {
  readonly id: RequestId;
  readonly method: string;
  readonly json: Buffer;
  /** The call that it belongs to, or may belong to where the transport does not tell. */
  readonly sink: CallSink | undefined;
  /** It belongs to a call, or one of several, whose caller takes JSON alone, so that no stream of that can carry it. */
  readonly isUnheard?: boolean;
  /** Takes the answer. */
  readonly from: Pick<BackendSession, 'respond' | 'isOpen' | 'openedWith'>;
}

/** A running call. */
export interface RunningCall {
  /** Its bytes have left for the backend, or it cannot be told whether they have. */
  readonly mayHaveRun: boolean;
  /**
   * Gives the call up: a response that still comes is dropped and the sink hears nothing more. `notify`: the backend is told by
   * notifications/cancelled. In this era a caller that merely disconnects cancels nothing. `headers`: client headers of the request
   * that cancels; default those of the call.
   */
  cancel(reason: string, notify: boolean, headers?: Headers): void;
}

/** Of a call that failed before anything of it began. */
export const NOTHING_RUNS: RunningCall = { mayHaveRun: false, cancel: () => undefined };

/** What a backend session may use of the session it belongs to. */
export interface BackendSessionHost {
  /** For logs: the session's reference. */
  readonly sessionRef: string;
  /**
   * The guard: true while the lease is valid and the session still ours at this epoch. To be asked
   * synchronously right before the bytes of every act leave. What it refuses has not begun: fail with NOT_OWNER.
   */
  mayAct(): boolean;
  /** Saves an issued id by compare-and-set before anything else is sent with it. Never rejects; anything but `saved` means: end it. */
  save(previousGeneration: number, value: BackendSessionRecord): Promise<'saved' | 'refused'>;
  /**
   * The backend has taken `notifications/initialized`: written beside the first call, not before it. Lost, the next owner sends it once
   * more, which does no harm; never sent, the backend would refuse every call.
   */
  confirmed?(value: BackendSessionRecord): void;
  /**
   * It is open, or open anew, with these client and configured headers. Runs before the first call is sent in it. Calls wait for what
   * it returns, which never rejects; but for those that are `isPreparation`.
   */
  opened?(info: BackendInfo, headers: Headers): Promise<void> | undefined;
  /** Its state is gone with its channel, and the next call will open it anew. */
  onChannelLost?(): void;
  /** Ends a backend session that was opened but may not be used (handshake failed, save refused). */
  discard(value: BackendSessionRecord): void;
  /** What backends are told that the client can be asked; default nothing. */
  readonly clientCapabilities?: Capabilities;
  /**
   * Passes a request of the backend on to the client; the answer, or that none will come, is told by `BackendSession.respond`. Default:
   * -32601.
   * @returns why the client is not asked: what the backend is to be told at once, so that it never waits in vain
   */
  ask?(ask: BackendAsk): JsonRpcErrorObject | undefined;
  /** The backend takes a request back (notifications/cancelled). @returns the notification as the client knows that request */
  withdraw?(id: RequestId, json: Buffer | string): string | undefined;
  /** The call that a request belonged to is over: an answer that still comes is dropped. */
  forget?(id: RequestId): void;
  /** A notification outside any call (GET stream, stdio), as JSON text. */
  onNotification(json: Buffer | string): void;
  /**
   * The backend's own id of the event outside any call that it sent last, told before what the event says; undefined: it had none. '': it
   * offers no stream outside calls.
   */
  onEventId?(eventId: string | undefined): void;
  /** The backend does not go on where its stream outside calls was cut off: something may be missing from here on. */
  onEventsLost?(): void;
  /** The backend's state is gone and `onStateLoss` is `fail`: the session has to end. */
  onStateLost(reason: string): void;
  /** Who wants to know how the backend fares: its breaker. Set by health/, absent for a probe's own session. */
  readonly health?: HealthReports;
}

/**
 * What every kind of backend session tells of its backend, where it knows it best. Told is what concerns reaching it and opening
 * sessions; never what became of a call that was sent: tool errors, time-outs, JSON-RPC errors.
 */
export interface HealthReports {
  /** Something was told against it. While it is false `answered` need not be told: that is asked for every answer. */
  readonly isInDoubt: boolean;
  /** A handshake is complete. */
  opened(): void;
  /** A handshake failed. Not if its own side gave up: the session ended, the guard refused, nobody waited any more. */
  openFailed(error: GatewayError): void;
  /** A request in an open session found no connection: nothing of it was sent. */
  unreached(error: GatewayError): void;
  /** A request in an open session was answered, with whatever status. @param sentAtMs monotonic */
  answered(sentAtMs: number): void;
  /** Why no session should be opened now; asked before a session is opened anew that the backend has lost. */
  refusal(): GatewayError | undefined;
}

export interface BackendSession {
  readonly backend: string;
  /** What initialize told; undefined before the first opening. */
  readonly info: BackendInfo | undefined;
  /** Opened (or restored from the record) and not closed. */
  readonly isOpen: boolean;
  /** True if something of it (a stdio child) cannot be passed to another worker. */
  readonly isBoundToWorker: boolean;
  /** Its streams can be taken up again by another worker, if the backend gives event ids. */
  readonly resumesStreams?: boolean;
  /** Client headers that it was opened with and that may be passed on: for what we ask in it by ourselves. Undefined where none are kept. */
  readonly openedWith?: Headers | undefined;
  /**
   * Lazy, single-flight. `headers`: client headers that may be passed on, as for a call (default none).
   * @throws GatewayError BACKEND_UNAVAILABLE, BACKEND_TIMEOUT, NOT_OWNER
   */
  open(deadlineMs: number, headers?: Headers): Promise<BackendInfo>;
  /** Opens if need be, then sends. Never throws: errors go to the sink. */
  call(call: BackendCall): RunningCall;
  /** Sends a notification (if the session is open; else drops it). Never rejects. */
  notify(message: JsonRpcNotification, headers: Headers): Promise<void>;
  /**
   * The client's answer to a request of this backend. `json`: the whole response, under the backend's own `id`. Resolves when the
   * backend has it or it is lost; never rejects.
   */
  respond(id: RequestId, json: Buffer | string, headers: Headers): Promise<void>;
  /**
   * The client has a standalone stream open (or no longer): keep a GET stream to the backend. `headers`: client headers of that GET,
   * which may be passed on. `from`: see ListenFrom.
   */
  setListening(listening: boolean, headers?: Headers, from?: ListenFrom): void;
  /** The backend is back from being away: a stream that waits for its next attempt makes it within `withinMs`. */
  reconnect?(withinMs: number): void;
  /** What the record holds of it, if it was saved. */
  readonly record: BackendSessionRecord | undefined;
  /** Memory and processes go, nothing is sent to an HTTP backend (teardown does that). Calls in flight fail with `error`, marked if they may have run. */
  close(error: GatewayError): void;
}

/** Makes backend sessions of one configured backend; one per worker, alive from start to stop or reload. */
export interface Backend {
  readonly name: string;
  /** Last known of any session of this worker; undefined before the first handshake. */
  readonly lastInfo: BackendInfo | undefined;
  /** `record`: go on with that backend session (take-over), no initialize. */
  createSession(host: BackendSessionHost, record: BackendSessionRecord | undefined): BackendSession;
  /** Teardown: DELETE of a backend session. See teardown/. */
  readonly end: ((target: EndTarget, timeoutMs: number) => Promise<EndAnswer>) | undefined;
  close(): Promise<void>;
}

/** What a DELETE to a backend session needs. */
export interface EndTarget {
  readonly id: string;
  readonly protocolVersion: string;
  /** The headers that initialized it (static and forwarded ones). */
  readonly headers: Headers;
}

export type EndAnswer =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'unreachable'; readonly reason: string };
