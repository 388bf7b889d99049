// One GET stream of a backend session, from its request to its end. What follows its end is listen-stream's business.
import type { Client } from 'undici';
import { GatewayError } from '../../errors/gateway-error.js';
import { SseEventTooLarge } from '../../protocol/sse.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendSessionHost } from '../backend.js';
import { EventReader } from './event-reader.js';
import { streamHeaders } from './headers.js';
import type { OpenState } from './open-state.js';
import { ReplyHandler } from './reply-handler.js';
import type { ReplyHeaders } from './reply-headers.js';
import type { HttpTransport } from './transport.js';
import { transportError } from './transport-error.js';

export interface StreamOwner {
  /** The backend has begun to answer with a stream. */
  onStreamOpen(request: StreamRequest): void;
  /** As BackendSessionHost.onEventId, of an event that has no message. */
  onStreamEventId(eventId: string | undefined): void;
  /** @param eventId of its event; undefined: it has none */
  onStreamMessage(json: Buffer, eventId: string | undefined): void;
  /** @param status of the answer; undefined if there was none */
  onStreamEnd(request: StreamRequest, status: number | undefined): void;
}

export class StreamRequest extends ReplyHandler {
  readonly #host: BackendSessionHost;
  readonly #owner: StreamOwner;
  readonly #transport: HttpTransport;
  readonly #headers: string[];
  readonly #credential: string | undefined;
  #client: Client | undefined;
  readonly #reader = new EventReader();
  #status: number | undefined;
  #isEvents = false;
  #ended = false;
  /** The id that the owner has heard of last. */
  #told: string | undefined;
  /** It asked to go on behind an event. */
  readonly goesOn: boolean;
  /** Whether it brought anything: then a reconnect need not back off. */
  hadEvents = false;

  constructor(
    transport: HttpTransport,
    host: BackendSessionHost,
    state: OpenState,
    sent: { readonly headers: Headers; readonly credential: string | undefined },
    lastEventId: string | undefined,
    owner: StreamOwner,
  ) {
    super();
    this.#host = host;
    this.#owner = owner;
    this.#reader.lastEventId = lastEventId;
    this.#told = lastEventId;
    this.goesOn = lastEventId !== undefined && lastEventId !== '';
    this.#transport = transport;
    const { headers, credential } = sent;
    this.#credential = credential;
    this.#headers = streamHeaders(
      { id: state.id, protocolVersion: state.info.protocolVersion, credential },
      headers,
      lastEventId,
    );
  }

  start(): void {
    this.#client = this.#transport.openStream(this.#headers, this);
  }

  get lastEventId(): string | undefined {
    return this.#reader.lastEventId;
  }

  get retryMs(): number | undefined {
    return this.#reader.retryMs;
  }

  /** Ends it from our side: the owner hears nothing more. */
  stop(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#destroy();
  }

  protected refusal(): Error | undefined {
    if (this.#ended) return new Error('given up while it connected');
    return this.#host.mayAct() ? undefined : new GatewayError('NOT_OWNER');
  }

  protected onHead(status: number, headers: ReplyHeaders): void {
    this.#status = status;
    if (status === 401 && this.#credential !== undefined) this.#transport.credentials.refuse(this.#credential);
    this.#isEvents = status === 200 && /^text\/event-stream/i.test(String(headers.get('content-type')));
    // The body of a refusal says nothing that is needed.
    if (this.#isEvents) this.#owner.onStreamOpen(this);
    else this.#end();
  }

  protected onChunk(chunk: Buffer): void {
    if (this.#ended) return;
    this.#reader.push(chunk);
    try {
      for (let json = this.#reader.next(); json; json = this.#reader.next()) {
        this.hadEvents = true;
        this.#told = this.#reader.lastEventId;
        this.#owner.onStreamMessage(json, this.#reader.eventId);
        if (this.#ended) return;
      }
      if (this.#told !== this.#reader.lastEventId) {
        this.#told = this.#reader.lastEventId;
        this.#owner.onStreamEventId(this.#told);
      }
    } catch (error) {
      if (!(error instanceof SseEventTooLarge)) throw error;
      const { name, logger } = this.#transport;
      const fields = { backend: name, session: this.#host.sessionRef, reason: 'event_too_large' };
      logger?.warn(fields, 'the event stream of the backend ended');
      this.#end();
    }
  }

  protected onEnd(): void {
    this.#end();
  }

  protected onFailure(error: unknown): void {
    if (!this.#ended && !this.sent) this.#host.health?.unreached(transportError(this.#transport.name, error, false));
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#owner.onStreamEnd(this, this.#status);
    this.#destroy();
  }

  #destroy(): void {
    // Not from within a call-back of the client's own parser.
    setImmediate(() => void this.#client?.destroy().catch(() => undefined));
  }
}
