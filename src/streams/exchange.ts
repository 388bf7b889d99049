// The small exchange that the public edge and the owner's side of the hop hand to the one execution path. Whoever serves it
// cannot tell which of the two it was, except by `hop`, which only routing reads.
import type {
  JsonRpcErrorObject,
  JsonRpcNotification,
  JsonRpcRequest,
  JsonRpcResponse,
  RequestId,
} from '../protocol/json-rpc.js';
import type { OwnerToken, SessionRef } from '../protocol/ids.js';
import type { UnansweredIds } from './unanswered-ids.js';

/** Lower-case header names; a header that came twice is joined by ', '. */
export type Headers = Readonly<Record<string, string>>;

/** Who calls: never token bytes. `digest` is what records hold. */
export interface Principal {
  /** issuer + subject, a key id, or `anonymous`. */
  readonly name: string;
  /** 128-bit digest of the name. */
  readonly digest: string;
}

/**
 * A body as the edge read it, and as the owner's side of a hop reads it again by the same function: `message` has server_id injected
 * and is changed by nobody; `bytes` are the caller's own text, which a hop carries as it is (a number that JavaScript cannot hold
 * must reach a backend unharmed from any worker). `mayRelay`: without server_id, `bytes` say what `message` says.
 */
export type MessageBody =
  | { readonly kind: 'request'; readonly message: JsonRpcRequest; readonly bytes: Buffer; readonly mayRelay?: boolean }
  | { readonly kind: 'notification'; readonly message: JsonRpcNotification; readonly bytes: Buffer }
  | { readonly kind: 'response'; readonly message: JsonRpcResponse; readonly bytes: Buffer };

/** What one element of a batch is: a message, or an error where it is none that can be used. */
export type BatchPart =
  | MessageBody
  | { readonly kind: 'refused'; readonly id: RequestId | undefined; readonly error: JsonRpcErrorObject };

/** An array of messages (2025-03-26). `ids`: of the requests in it, each of which is answered once. */
export interface BatchBody {
  readonly kind: 'batch';
  readonly parts: readonly BatchPart[];
  readonly ids: readonly RequestId[];
  readonly bytes: Buffer;
}

export type RequestBody = MessageBody | BatchBody;

/** Why another worker tells an owner to end a session. `idle`: the owner decides by its own clock; `closing`: its record says so. */
export const END_CAUSES = ['deleted', 'killed', 'closing', 'idle'] as const;
export type EndCause = (typeof END_CAUSES)[number];

/**
 * How a hop names its owner: exactly this token, or `take` (anyone who stays may serve it). `end` is no request of a client: one
 * worker tells another to end a session, by reference, since ids stand nowhere but in the owner's memory. `status`: one worker asks
 * another what only that one knows (its counts, how it sees backends), in the form of that version.
 */
export type Hop =
  | { readonly kind: 'named'; readonly token: OwnerToken }
  | { readonly kind: 'take' }
  | { readonly kind: 'end'; readonly ref: SessionRef; readonly cause: EndCause }
  | { readonly kind: 'status'; readonly version: number };

/**
 * The way back to the caller. Exactly one of `send` or `start … end` happens; what comes later is dropped.
 * Calls after the caller left are harmless and do nothing.
 */
export interface Answer {
  /** The head has been sent: errors can no longer change the status. */
  readonly started: boolean;
  /** The answer is complete, or the caller is gone. */
  readonly finished: boolean;
  /** Started as text/event-stream: an error that comes later can still be told as an event. */
  readonly startedAsEvents?: boolean;
  /** A whole answer. */
  send(status: number, headers: Headers, body?: Buffer | string): void;
  /** Begins a streamed answer; with `content-length` in headers the length is fixed, else chunked. */
  start(status: number, headers: Headers): void;
  /** @returns false when the caller reads slowly: write no more until the drain listener runs. */
  write(chunk: Buffer | string): boolean;
  /** The clean end. */
  end(): void;
  /**
   * The session has gone to another owner: the edge at the other end of the hop goes on with this stream there, after everything that
   * was written. Only an answer over a hop has it.
   */
  moved?(): void;
  /** Breaks the answer off visibly (connection reset, CANCEL on the hop): for a body that cannot be completed. */
  destroy(): void;
  /** One listener; replaces an earlier one. */
  onDrain(listener: () => void): void;
}

export interface Exchange {
  readonly method: 'POST' | 'GET' | 'DELETE';
  /** From `/servers/<id>/mcp`; '' for `/mcp` (all backends). */
  readonly serverId: string;
  /** Client headers, internal ones and credentials taken out. */
  readonly headers: Headers;
  /** Present on POST only. */
  readonly body: RequestBody | undefined;
  readonly principal: Principal;
  /** Monotonic time by which an answer is due. */
  readonly deadlineMs: number;
  /**
   * A stream that an earlier owner had begun and that its edge attaches here again: the client has not asked anew, so it does not
   * replace a stream that it asked for meanwhile.
   */
  readonly isReattached?: boolean;
  /**
   * The request whose answer the stream carries, where the caller still waits for it at the POST that asked: the stream must not end
   * without one.
   */
  readonly awaits?: RequestId;
  /** Of a stream that goes on elsewhere: the id of the last event that was passed on. Kept by whoever passes events on. */
  resumeAfter?: string;
  /** Of a batch whose answer came as a stream: which requests have no answer in it yet. Kept by whoever passes events on. */
  unanswered?: UnansweredIds;
  /** Present when it came over the internal listener. */
  readonly hop: Hop | undefined;
  readonly answer: Answer;
  /** When the exchange arrived, monotonic. */
  readonly startedMs: number;
  /** For the log line: filled by whoever learns it. */
  readonly note: ExchangeNote;
  /** True once the caller has gone away before the answer was complete. */
  readonly aborted: boolean;
  /** Runs when the caller goes away before the answer is complete (at once if it already has). Several listeners may be added. */
  onAbort(listener: () => void): void;
}

/** What the one log line and the metrics of a request say. */
export interface ExchangeNote {
  route: 'local' | 'forward' | 'takeover' | 'none';
  session: string | undefined;
  owner: string | undefined;
  epoch: number | undefined;
  /** Negotiated in the session: every answer carries it. */
  protocolVersion: string | undefined;
  backend: string | undefined;
  /** JSON-RPC method, `response`, `batch`, `GET` or `DELETE`. */
  method: string;
  /** `ok`, `tool_error`, or an error code of the catalog. */
  outcome: string;
}

/** The caller's id, where there is one to answer to. */
export function requestIdOf(exchange: Exchange): RequestId | undefined {
  return exchange.body?.kind === 'request' ? exchange.body.message.id : exchange.awaits;
}

/** Whether an answer hangs on it: what has none to lose may be sent again. */
export function awaitsAnswer(body: RequestBody): boolean {
  return body.kind === 'request' || (body.kind === 'batch' && body.ids.length > 0);
}

/** What a request keeps in memory while it waits. */
export function bodyBytesOf({ body }: Exchange): number {
  return body?.bytes.length ?? 0;
}

/** An empty note: filled in by whoever serves the exchange. */
export function newNote(method: Exchange['method'], body: RequestBody | undefined): ExchangeNote {
  return {
    route: 'none',
    session: undefined,
    owner: undefined,
    epoch: undefined,
    protocolVersion: undefined,
    backend: undefined,
    method: body ? nameOf(body) : method,
    outcome: 'ok',
  };
}

function nameOf(body: RequestBody): string {
  return body.kind === 'request' || body.kind === 'notification' ? body.message.method : body.kind;
}
