// One attempt to send a message: POST it, relay whatever comes back, and judge what that means for another attempt.

import type { Clock } from '../lifecycle/clock.js';
import type { JsonRpcErrorObject } from '../protocol/json-rpc.js';
import { SESSION_HEADER } from '../protocol/mcp.js';
import type { Call } from './call.js';
import { EventCursor, readMessages } from './events.js';
import { errorOf, mayHaveRun, outcomeUnknown, retryAfterMs, saysNotBegun, statusError, unreachable } from './failures.js';
import { type GatewayHttp, type HttpAnswer, SendFailed } from './http.js';
import type { Relay } from './relay.js';
import { resumeStream } from './resume.js';

/** The session a message belongs to, as headers tell it. */
export interface SessionState {
  /** Grows with every session of this bridge; 0: none yet. */
  readonly generation: number;
  readonly hasId: boolean;
  /** Session id and protocol version. */
  readonly headers: Readonly<Record<string, string>>;
}

export type Outcome =
  | { readonly kind: 'done' }
  /** It has not begun, or may run twice: it may be sent again. */
  | { readonly kind: 'again'; readonly error: JsonRpcErrorObject; readonly afterMs?: number | undefined }
  /** The session is unknown to the gateway, so the message was not taken, as far as it says. */
  | { readonly kind: 'lost'; readonly error: JsonRpcErrorObject }
  | { readonly kind: 'failed'; readonly error: JsonRpcErrorObject };

export interface PostParts {
  readonly http: GatewayHttp;
  readonly relay: Relay;
  readonly clock: Clock;
  readonly patienceMs: number;
}

const POST_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const MAX_ERROR_BYTES = 1024 * 1024;
/** How long a stream may go on behind the answer it was opened for. */
const LINGER_MS = 5000;
/** For what the gateway answers at once, whatever its backends do. */
const MIN_HEAD_TIMEOUT_MS = 10_000;
const DONE: Outcome = { kind: 'done' };

export class Post {
  readonly #parts: PostParts;

  constructor(parts: PostParts) {
    this.#parts = parts;
  }

  /** Never rejects. */
  async attempt(call: Call, state: SessionState): Promise<Outcome> {
    const { http, patienceMs } = this.#parts;
    const { facts, signal } = call;
    call.sent = false;
    const isQuick = facts.opensSession === true || !call.isRequest;
    try {
      const answer = await http.send({
        method: 'POST',
        headers: { ...POST_HEADERS, ...state.headers },
        body: facts.bytes,
        signal,
        headTimeoutMs: isQuick ? Math.max(patienceMs, MIN_HEAD_TIMEOUT_MS) : 0,
        onSent: () => {
          call.sent = true;
        },
      });
      return await this.#read(call, state, answer);
    } catch (error) {
      return this.#broken(call, error);
    }
  }

  async #read(call: Call, state: SessionState, answer: HttpAnswer): Promise<Outcome> {
    const { status } = answer;
    if (status < 200 || status > 299) return this.#refused(call, state, answer);
    call.facts.onIssued?.(readIssued(answer));
    if (!call.isRequest) {
      await answer.text(MAX_ERROR_BYTES);
      return DONE;
    }
    if (answer.isOf('text/event-stream')) return this.#readStream(call, state, answer);
    const text = await answer.text(MAX_ANSWER_BYTES);
    if (text.length > MAX_ANSWER_BYTES) return failed(outcomeUnknown('the answer is larger than 16 MiB'));
    if (text !== '') await this.#parts.relay.take(text, state.generation, call);
    return call.isAnswered ? DONE : failed(outcomeUnknown(`no answer to the request (HTTP ${status})`, { status }));
  }

  async #readStream(call: Call, state: SessionState, answer: HttpAnswer): Promise<Outcome> {
    const { relay } = this.#parts;
    const cursor = new EventCursor();
    const messages = readMessages(answer.chunks(), cursor);
    try {
      for (let next = await messages.next(); !next.done; next = await messages.next()) {
        await relay.take(next.value, state.generation, call);
        if (call.isAnswered) {
          void this.#readRest(messages, state, answer);
          return DONE;
        }
      }
    } catch (error) {
      answer.discard();
      if (!(error instanceof Error) || call.signal.aborted) throw error;
    }
    if (cursor.lastEventId === undefined) return this.#maybeBegun(call, 'the stream of its answer broke');
    const isAnswered = await resumeStream(this.#parts, call, state, cursor);
    return isAnswered ? DONE : failed(outcomeUnknown('the stream of its answer broke and could not be resumed'));
  }

  /** Behind the answer; a server may leave the stream open for ever. */
  async #readRest(messages: AsyncGenerator<string>, state: SessionState, answer: HttpAnswer): Promise<void> {
    const timer = this.#parts.clock.after(LINGER_MS, () => answer.discard());
    try {
      for await (const text of messages) await this.#parts.relay.take(text, state.generation);
    } catch {
      // It had said all that was wanted.
    } finally {
      timer.cancel();
    }
  }

  async #refused(call: Call, state: SessionState, answer: HttpAnswer): Promise<Outcome> {
    const { status, headers } = answer;
    const body = await answer.text(MAX_ERROR_BYTES);
    const error = statusError(status, headers, body);
    const { isSafe } = call.facts;
    if (status === 404 && state.hasId) {
      // The gateway says it also to what ran when the session was ended, and then tells.
      if (mayHaveRun(error) && !isSafe) return failed(outcomeUnknown('the session ended while the request ran', { status }));
      return { kind: 'lost', error };
    }
    const afterMs = retryAfterMs(headers['retry-after'], this.#parts.clock.wallMs());
    const isLater = (status === 503 || status === 429) && afterMs !== undefined;
    // A proxy may say it, too, of what had reached the gateway: only the gateway's own word is enough for what must not run twice.
    if (isLater && (isSafe || saysNotBegun(body))) return { kind: 'again', error, afterMs };
    if (status < 500) return failed(error);
    // Some balancers say these also when the connection broke behind them: the request may have run.
    if (status > 501 && status < 505 && isSafe) return { kind: 'again', error, afterMs };
    return failed(errorOf(body) || isSafe ? error : outcomeUnknown(`HTTP ${status}`, { status }));
  }

  #broken(call: Call, error: unknown): Outcome {
    const failure = error instanceof SendFailed ? error : new SendFailed(error);
    if (call.sent) return this.#maybeBegun(call, failure.message);
    const told = unreachable(failure.message);
    return failure.isLasting ? failed(told) : { kind: 'again', error: told };
  }

  #maybeBegun(call: Call, reason: string): Outcome {
    const error = outcomeUnknown(reason);
    return call.facts.isSafe ? { kind: 'again', error } : failed(error);
  }
}

const failed = (error: JsonRpcErrorObject): Outcome => ({ kind: 'failed', error });

/** Visible ASCII, as the protocol asks, and short enough to be a header again. */
function readIssued(answer: HttpAnswer): string | undefined {
  const id = answer.headers[SESSION_HEADER];
  return typeof id === 'string' && id.length <= 4096 && /^[\x21-\x7e]+$/.test(id) ? id : undefined;
}
