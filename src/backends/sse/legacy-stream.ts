// The one GET stream of an HTTP+SSE backend session. Never opened again: the server makes another session for every stream, so a
// reconnect (which the SDK's client does by itself) would lose the state unnoticed; see docs/adr/0011.
import type { Client } from 'undici';
import { GatewayError } from '../../errors/gateway-error.js';
import { SseEventTooLarge, SseScanner } from '../../protocol/sse.js';
import { unavailable } from '../failures.js';
import { ReplyHandler } from '../http/reply-handler.js';
import type { ReplyHeaders } from '../http/reply-headers.js';
import { reasonOf, statusError } from '../http/transport-error.js';
import type { HttpTransport } from '../http/transport.js';

export interface StreamListener {
  /** Asked right before the GET leaves. */
  mayAct(): boolean;
  /** The data of an `endpoint` event. */
  onEndpoint(named: string): void;
  onMessage(json: Buffer): void;
  /** Once, unless it was stopped before: it carries nothing more. */
  onEnd(error: GatewayError): void;
}

/** Told where no stream is given: what servers of later revisions answer to a GET without a session. */
const REMEDY = 'if this is a Streamable HTTP server, set type: http';
const NO_STREAM = new Set([400, 404, 405]);

export class LegacyStream extends ReplyHandler {
  /** Resolves when its connection is closed. Never rejects. */
  readonly gone: Promise<void>;
  readonly #backend: string;
  readonly #listener: StreamListener;
  readonly #scanner = new SseScanner();
  #client: Client | undefined;
  #resolveGone!: () => void;
  #isPaused = false;
  #ended = false;

  /** Asks for the stream as soon as there are headers. */
  constructor(transport: HttpTransport, headers: Promise<string[]>, listener: StreamListener) {
    super();
    this.#backend = transport.name;
    this.#listener = listener;
    this.gone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
    headers.then(
      (list) => {
        if (!this.#ended) this.#client = transport.openStream(list, this);
      },
      (error: unknown) => this.#end(error instanceof GatewayError ? error : unavailable(this.#backend, 'failed', {}, error)),
    );
  }

  /** Ends it from our side: the listener hears nothing more. */
  stop(): void {
    if (this.#ended) return;
    this.#ended = true;
    // Not from within a call-back of the client's own parser.
    setImmediate(() => {
      (this.#client?.destroy() ?? Promise.resolve()).catch(() => undefined).finally(() => this.#resolveGone());
    });
  }

  /** Stops reading between two events: the server's buffers fill and it waits. */
  stopReading(): void {
    if (this.#ended || this.#isPaused) return;
    this.#isPaused = true;
    this.pause();
  }

  readOn(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#pump();
    if (!this.#isPaused) this.resumeReading();
  }

  protected refusal(): Error | undefined {
    if (this.#ended) return new Error('given up while it connected');
    return this.#listener.mayAct() ? undefined : new GatewayError('NOT_OWNER');
  }

  protected onHead(status: number, headers: ReplyHeaders): void {
    if (status !== 200) {
      this.#end(statusError(this.#backend, status, NO_STREAM.has(status) ? { remedy: REMEDY } : {}));
    } else if (!String(headers.get('content-type')).toLowerCase().startsWith('text/event-stream')) {
      this.#end(unavailable(this.#backend, 'bad_reply', { remedy: REMEDY }));
    }
  }

  protected onChunk(chunk: Buffer): void {
    if (this.#ended) return;
    this.#scanner.push(chunk);
    this.#pump();
  }

  protected onEnd(): void {
    this.#finish(unavailable(this.#backend, 'stream_ended'));
  }

  protected onFailure(error: unknown): void {
    this.#finish(error instanceof GatewayError ? error : unavailable(this.#backend, reasonOf(error), {}, error));
  }

  #pump(): void {
    try {
      while (!this.#isPaused && !this.#ended) {
        const event = this.#scanner.next();
        if (event === undefined) return;
        if (event.event === 'endpoint') this.#listener.onEndpoint(event.data.toString('utf8'));
        else if (event.data.length > 0 && (event.event === undefined || event.event === '' || event.event === 'message'))
          this.#listener.onMessage(event.data);
      }
    } catch (error) {
      if (!(error instanceof SseEventTooLarge)) throw error;
      this.#end(unavailable(this.#backend, 'event_too_large', {}, error));
    }
  }

  /** What had come before the end is given, also to callers that read slowly: to hold it back would lose answers that were given. */
  #finish(error: GatewayError): void {
    do {
      this.#isPaused = false;
      this.#pump();
    } while (this.#isPaused);
    this.#end(error);
  }

  #end(error: GatewayError): void {
    if (this.#ended) return;
    this.stop();
    this.#listener.onEnd(error);
  }
}
