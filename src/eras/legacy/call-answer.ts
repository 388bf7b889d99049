// The legacy front half of a call: what a backend answers becomes one JSON body or an event stream, as Accept and the backend have it.
import type { CallSink } from '../../backends/backend.js';
import { GatewayError, retryHeader, toGatewayError } from '../../errors/gateway-error.js';
import { errorText, type RequestId } from '../../protocol/json-rpc.js';
import { startEventStream } from '../../streams/event-stream.js';
import type { Answer, Exchange, Headers } from '../../streams/exchange.js';
import type { KeptAlive } from '../../streams/keep-alive.js';
import type { ResumableStream } from '../../streams/resumable-stream.js';
import type { AcceptedTypes } from './accept.js';

const JSON_TYPE = 'application/json';
/** A body up to this is not streamed: head and body in one write cost less than in three. */
const WHOLE_BYTES = 16 * 1024;
/** A JSON body that has to become one event is kept whole until its end. */
const MAX_COLLECTED_BYTES = 16 * 1024 * 1024;
// A search, not a parse: quotes inside a JSON string are escaped, so text that talks about it does not match. For the metric only.
const TOOL_ERROR = '"isError":true';
const TOOL_ERROR_BYTES = Buffer.from(TOOL_ERROR);

const CANCELLED = new GatewayError('REQUEST_CANCELLED');

/** The stream that carries the answer of a call; one without `marks` carries none (that of a batch). */
export type CallStream = Pick<
  ResumableStream,
  'push' | 'keepAlive' | 'onDrain' | 'sendAway' | 'finish' | 'isNearBound' | 'giveUp'
> & { marks?: string };

/** How an answer becomes a stream that its caller can resume. */
export interface CallStreamOpener {
  /**
   * Begins it, at most once.
   * @param marks how far the backend is, as an id carries it; '': unknown
   * @param isFinal all that it is to carry is the response
   */
  open(marks: string, isFinal: boolean): CallStream;
  /** The marks for the backend's own id of an event; '' where none can be carried. */
  marksFor(eventId: string | undefined): string;
  /** Whether the first thing that the stream says is its id. */
  readonly isPrimed: boolean;
  /** The stream, also one that is not open yet, is one of several and nobody can read it any more. Default false. */
  readonly isLost?: boolean;
  /** So much more of a body is kept until its end. @returns false: there is no room for it. Default: there is */
  collect?(bytes: number): boolean;
}

export class LegacyCallAnswer implements CallSink, KeptAlive {
  nextCommentMs = 0;
  resume: (() => void) | undefined;
  readonly #exchange: Pick<Exchange, 'answer' | 'onAbort'>;
  readonly #answer: Answer;
  readonly #accepts: AcceptedTypes;
  readonly #headers: Headers;
  readonly #id: RequestId;
  readonly #onEnd: (outcome: string, error: GatewayError | undefined) => void;
  readonly #opener: CallStreamOpener;
  #stream: CallStream | undefined;
  /** How far the backend is: with what was passed on, and with what comes next. */
  #marks = '';
  #nextMarks = '';
  /** `whole`: small, sent in one piece when it is complete; `relayed`: its head has gone out; `collected`: becomes an event. */
  #body: 'none' | 'whole' | 'relayed' | 'collected' = 'none';
  #collected: Buffer[] = [];
  #collectedBytes = 0;
  #toolError = false;
  #ended = false;
  #endListener: (() => void) | undefined;

  /**
   * @param headers sent with the answer (the session's protocol version)
   * @param onEnd once, with `ok`, `tool_error`, or the code of the error; NOT_OWNER is not written but told here: nothing had begun
   */
  constructor(
    exchange: Pick<Exchange, 'answer' | 'onAbort'>,
    accepts: AcceptedTypes,
    headers: Headers,
    id: RequestId,
    opener: CallStreamOpener,
    onEnd: (outcome: string, error: GatewayError | undefined) => void,
  ) {
    this.#exchange = exchange;
    this.#answer = exchange.answer;
    this.#accepts = accepts;
    this.#headers = headers;
    this.#id = id;
    this.#opener = opener;
    this.#onEnd = onEnd;
  }

  /** One more listener for the end (of the call, not of the answer's bytes). */
  onEnded(listener: () => void): void {
    if (this.#ended) listener();
    else this.#endListener = listener;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** As a stream has to carry them. */
  get carriesRequests(): boolean {
    return this.#accepts.events && !this.#ended && this.#body === 'none' && this.#opener.isLost !== true;
  }

  get isNearBound(): boolean {
    return this.#stream?.isNearBound ?? false;
  }

  letGo(): void {
    if (this.#stream) this.#stream.giveUp();
    else if (this.#body === 'relayed') {
      // Nobody can come back for the rest of a JSON body.
      this.#answer.destroy();
      this.resume?.();
    }
  }

  message(json: Buffer | string, final: boolean): boolean {
    if (this.#ended) return true;
    if (final) {
      this.#noteToolError(json);
      if (!this.#stream && this.#accepts.json) {
        this.#answer.send(200, this.#jsonHeaders(), json);
      } else {
        this.#startStream(true).push(json, true);
      }
      this.#end(this.#toolError ? 'tool_error' : 'ok');
      return true;
    }
    // A caller that takes only JSON gets the response alone.
    if (!this.#accepts.events) return true;
    return this.#startStream().push(json);
  }

  /**
   * Where the backend says at once under which id its answer can be resumed, so does ours: whoever holds the stream of a caller then
   * knows how to go on, should this worker die before the first message.
   */
  mark(eventId: string | undefined, isAlone = false): void {
    if (this.#ended) return;
    this.#nextMarks = this.#opener.marksFor(eventId);
    if (isAlone) this.#marks = this.#nextMarks;
    if (this.#stream?.marks !== undefined) this.#stream.marks = this.#nextMarks;
    else if (!this.#stream && isAlone && this.#marks !== '' && this.#opener.isPrimed && this.carriesRequests) this.#startStream();
  }

  bodyStart(contentLength: number | undefined): void {
    if (this.#ended) return;
    if (this.#stream || !this.#accepts.json) {
      this.#body = 'collected';
      return;
    }
    if (contentLength !== undefined && contentLength <= WHOLE_BYTES) {
      this.#body = 'whole';
      return;
    }
    this.#body = 'relayed';
    const length: Headers = contentLength === undefined ? {} : { 'content-length': String(contentLength) };
    this.#answer.start(200, Object.assign(this.#jsonHeaders(), length));
    this.#answer.onDrain(() => this.resume?.());
    // A connection that is closed never drains: the rest of the body is read into nothing, so that the backend gets its connection back.
    this.#exchange.onAbort(() => this.resume?.());
  }

  bodyChunk(chunk: Buffer): boolean {
    if (this.#ended) return true;
    this.#noteToolError(chunk);
    if (this.#body === 'relayed') return this.#answer.write(chunk);
    if (this.#opener.isLost) {
      this.#collected = [];
      return true;
    }
    this.#collectedBytes += chunk.length;
    if (this.#collectedBytes > MAX_COLLECTED_BYTES || this.#opener.collect?.(chunk.length) === false) {
      this.fail(
        new GatewayError('OUTCOME_UNKNOWN', {
          message: 'the answer is too large for an event stream',
          details: { reason: 'too_large' },
        }),
      );
      return true;
    }
    this.#collected.push(chunk);
    return true;
  }

  bodyEnd(): void {
    if (this.#ended) return;
    if (this.#body === 'whole') {
      this.#answer.send(200, this.#jsonHeaders(), joined(this.#collected));
    } else if (this.#body === 'collected') {
      this.#startStream(true).push(joined(this.#collected), true);
    } else {
      this.#answer.end();
    }
    this.#end(this.#toolError ? 'tool_error' : 'ok');
  }

  fail(cause: GatewayError): void {
    if (this.#ended) return;
    let error = toGatewayError(cause);
    if (error.code === 'NOT_OWNER') {
      if (!this.#answer.started) {
        this.#end(error.code, error);
        return;
      }
      // Something of the call was passed on already: it cannot go back to routing.
      error = new GatewayError('OUTCOME_UNKNOWN', { message: 'the session moved to another worker' });
    }
    const text = errorText(this.#id, error.toJsonRpc());
    if (this.#body === 'relayed') {
      // Part of a body has gone out: only a visible break tells the caller that it is not whole.
      this.#answer.destroy();
    } else if (!this.#stream && this.#accepts.json) {
      this.#answer.send(error.status, Object.assign(this.#jsonHeaders(), retryHeader(error)), text);
    } else {
      this.#startStream(true).push(text, true);
    }
    this.#end(error.code, error);
  }

  /**
   * The caller wants no answer any more, and what still comes is dropped. A stream ends without one, as the specification has it
   * ("Cancellation"); whoever takes JSON alone has to be answered with something.
   * @returns false where the answer is on its way already: it goes on
   */
  cancel(): boolean {
    if (this.#ended || this.#body === 'relayed') return false;
    const { code } = CANCELLED;
    if (this.#stream || !this.#accepts.json) {
      this.#startStream(true).finish();
    } else if (this.#accepts.events) {
      startEventStream(this.#answer, this.#headers);
      this.#answer.end();
    } else {
      const text = errorText(this.#id, CANCELLED.toJsonRpc());
      this.#answer.send(CANCELLED.status, this.#jsonHeaders(), text);
    }
    this.#end(code);
    return true;
  }

  /** A call that is still open gets a comment; one that has not answered yet becomes a stream, so that balancers do not cut it. */
  keepAlive(): void {
    if (this.carriesRequests) this.#startStream().keepAlive();
  }

  /**
   * Becomes a stream, so that a caller who is cut off meanwhile has an id to come again with. Where the backend wants to be polled the
   * caller polls as well, at whichever worker; the gateway asks the backend by itself and keeps what it says.
   */
  delayed(retryMs: number | undefined): void {
    if (!this.carriesRequests) return;
    const stream = this.#startStream();
    if (retryMs !== undefined) stream.sendAway(retryMs);
  }

  /** Not a literal with a spread in it: V8 copies that property by property, for half a microsecond a request. */
  #jsonHeaders(): Record<string, string> {
    return Object.assign({ 'content-type': JSON_TYPE }, this.#headers);
  }

  #startStream(isFinal = false): CallStream {
    if (!this.#stream) {
      this.#stream = this.#opener.open(this.#marks, isFinal);
      if (this.#stream.marks !== undefined) this.#stream.marks = this.#nextMarks;
      this.#stream.onDrain = () => this.resume?.();
    }
    return this.#stream;
  }

  #noteToolError(json: Buffer | string): void {
    if (this.#toolError) return;
    this.#toolError = typeof json === 'string' ? json.includes(TOOL_ERROR) : json.includes(TOOL_ERROR_BYTES);
  }

  #end(outcome: string, error?: GatewayError): void {
    this.#ended = true;
    this.#collected = [];
    this.#endListener?.();
    this.#onEnd(outcome, error);
  }
}

function joined(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}
