// Small requests whose answer is read whole and bounded: handshake, notifications, answers to the backend, DELETE. Calls go
// through HttpCall instead.
import type { Dispatcher } from 'undici';
import type { GatewayError } from '../../errors/gateway-error.js';
import type { RequestId } from '../../protocol/json-rpc.js';
import { isBatch, takeEach, unwrap } from '../../protocol/batch.js';
import { scanMessage } from '../../protocol/scan-json.js';
import type { Deadlines, Expiring } from './deadlines.js';
import { EventReader } from './event-reader.js';
import { ReplyHandler } from './reply-handler.js';
import type { ReplyHeaders } from './reply-headers.js';
import { timedOut, transportError } from './transport-error.js';

/** An answer beyond this is cut: none of these requests is answered with more. */
export const MAX_REPLY_BYTES = 1024 * 1024;

/** A pool, or what stands for one. */
export interface Sender {
  dispatch(options: Dispatcher.DispatchOptions, handler: ReplyHandler): boolean;
}

export interface ControlReply {
  readonly status: number;
  /** The body, or of an event stream the message that answers `responseTo`; '' if there was none. */
  readonly text: string;
}

export interface ControlOptions {
  readonly backend: string;
  readonly method: 'POST' | 'DELETE';
  readonly path: string;
  readonly headers: string[];
  readonly body?: Buffer | string;
  /** Asked right before the bytes leave; an error means that nothing leaves. */
  readonly refusal: () => GatewayError | undefined;
  readonly deadlineMs: number;
  /** The id of the request: where the answer is an event stream it is over with this response. */
  readonly responseTo?: RequestId;
  /** Runs as soon as the head of the answer is there. */
  readonly onHead?: (status: number, headers: ReplyHeaders) => void;
}

export class ControlRequest extends ReplyHandler implements Expiring {
  readonly reply: Promise<ControlReply>;
  deadlineMs: number;
  readonly #options: ControlOptions;
  readonly #deadlines: Deadlines;
  #resolve!: (reply: ControlReply) => void;
  #reject!: (error: GatewayError) => void;
  #done = false;
  #status = 0;
  #events: EventReader | undefined;
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** Sends it at once. */
  constructor(pool: Sender, deadlines: Deadlines, options: ControlOptions) {
    super();
    this.#options = options;
    this.#deadlines = deadlines;
    this.deadlineMs = options.deadlineMs;
    this.reply = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever sends without waiting is not to blame for a rejection that nobody takes.
    this.reply.catch(() => undefined);
    deadlines.add(this);
    const { method, path, headers, body } = options;
    pool.dispatch({ method, path, headers, body: body ?? null }, this);
  }

  /** Also ends a stream that a backend leaves open behind its answer: it would hold a connection for ever. */
  expire(): void {
    if (this.#done) this.abort(new Error('the answer did not end'));
    else this.give(timedOut(this.#options.backend));
  }

  /** Gives it up: nothing leaves if nothing had, else its connection is cut. */
  give(error: GatewayError): void {
    if (this.#done) return;
    this.#finish();
    this.#deadlines.delete(this);
    this.#reject(error);
    this.abort(error);
  }

  protected refusal(): Error | undefined {
    return this.#done ? new Error('given up while it waited') : this.#options.refusal();
  }

  protected onHead(status: number, headers: ReplyHeaders): void {
    this.#status = status;
    const type = headers.get('content-type');
    if (this.#options.responseTo !== undefined && typeof type === 'string' && /^text\/event-stream/i.test(type)) {
      this.#events = new EventReader();
    }
    this.#options.onHead?.(status, headers);
  }

  protected onChunk(chunk: Buffer): void {
    if (this.#done) return;
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_REPLY_BYTES) {
      this.#succeed('');
      this.abort(new Error('answer too large'));
      return;
    }
    if (!this.#events) {
      this.#chunks.push(chunk);
      return;
    }
    this.#events.push(chunk);
    for (let json = this.#events.next(); json; json = this.#events.next()) this.#take(json);
  }

  #take(json: Buffer): void {
    const message = scanMessage(json);
    if (message.kind === 'invalid' && isBatch(json)) takeEach(json, (one) => this.#take(one));
    if (message.kind !== 'response' || message.id !== this.#options.responseTo || this.#done) return;
    this.#succeed(json.toString('utf8'));
  }

  protected onEnd(): void {
    this.#deadlines.delete(this);
    if (this.#done) return;
    const rest = this.#events?.finish();
    if (rest) this.#take(rest);
    this.#succeed(this.#events ? '' : unwrap(Buffer.concat(this.#chunks).toString('utf8'), this.#options.responseTo));
  }

  protected onFailure(error: unknown): void {
    this.#deadlines.delete(this);
    if (this.#done) return;
    this.#finish();
    this.#reject(transportError(this.#options.backend, error, this.sent));
  }

  #succeed(text: string): void {
    if (this.#done) return;
    this.#finish();
    this.#resolve({ status: this.#status, text });
  }

  #finish(): void {
    this.#done = true;
    this.#chunks = [];
  }
}
