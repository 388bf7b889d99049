// Reads one request off the hop, whole, and hands it on as an exchange. A body is parsed once; what is no message begins nothing.
import type { Clock } from '../lifecycle/clock.js';
import type { RequestBody } from '../streams/exchange.js';
import type { ExchangeHandler, ReadMessage } from './forward.js';
import { CANCEL_REASON, detachSmall } from './frames.js';
import type { Gathering } from './gathering.js';
import { parseRequestHead, type RequestHead } from './head.js';
import { HopExchange } from './hop-exchange.js';
import type { HopLimits } from './limits.js';
import type { HopStream, StreamReceiver } from './stream.js';

export interface IncomingOptions {
  readonly clock: Clock;
  readonly limits: HopLimits;
  readonly gathering: Gathering;
  readonly handler: ExchangeHandler;
  /** Reads a body, injecting the server id; throws for what is no message. */
  readonly readMessage: ReadMessage;
  /** Open requests of the connection, this one included. */
  openStreams(): number;
  onRefused(reason: string): void;
  onHandlerError(error: unknown): void;
}

export class IncomingRequest implements StreamReceiver {
  readonly #stream: HopStream;
  readonly #options: IncomingOptions;
  #head: RequestHead | undefined;
  #arrivedMs = 0;
  #exchange: HopExchange | undefined;
  #body: Buffer | undefined;
  #have = 0;
  /** Received, but its credit stays back until there is room for the whole body. */
  #withheldBytes = 0;
  #isAdmitted = true;
  #ended = false;

  constructor(stream: HopStream, options: IncomingOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  onHead(payload: Buffer): string | undefined {
    const head = this.#head ? undefined : parseRequestHead(payload);
    if (!head) return 'request_head';
    this.#head = head;
    this.#arrivedMs = this.#options.clock.monotonicMs();
    const { limits, gathering } = this.#options;
    if (head.bodyBytes > limits.bodyBytes) this.#refuse('body_limit');
    else if (this.#options.openStreams() > limits.streams) this.#refuse('busy');
    else if (head.bodyBytes > limits.streamBytes) {
      this.#isAdmitted = false;
      gathering.admit(this.#stream, head.bodyBytes, () => this.#onAdmitted());
    }
    return undefined;
  }

  onData(part: Buffer): string | undefined {
    const head = this.#head;
    if (!head || this.#ended || this.#have + part.length > head.bodyBytes) return 'request_length';
    if (part.length === head.bodyBytes) this.#body = detachSmall(part);
    else {
      this.#body ??= Buffer.allocUnsafeSlow(head.bodyBytes);
      part.copy(this.#body, this.#have);
    }
    this.#have += part.length;
    if (this.#isAdmitted) this.#stream.giveBack(part.length);
    else this.#withheldBytes += part.length;
    return undefined;
  }

  onEnd(): string | undefined {
    const head = this.#head;
    if (!head || this.#ended || this.#have !== head.bodyBytes) return 'request_length';
    this.#ended = true;
    this.#options.gathering.release(this.#stream);
    const body = this.#body && this.#readBody(this.#body, head.serverId);
    if (head.method === 'POST' && !body) {
      this.#refuse('request_body');
      return undefined;
    }
    const exchange = new HopExchange(head, body, this.#stream, this.#arrivedMs);
    this.#exchange = exchange;
    try {
      this.#options.handler(exchange);
    } catch (error) {
      // A handler answers its own errors; one that fails to must not take down the connection of everybody else.
      exchange.answer.destroy();
      this.#options.onHandlerError(error);
    }
    return undefined;
  }

  onLoss(): void {
    this.#options.gathering.release(this.#stream);
    this.#exchange?.abort();
  }

  #onAdmitted(): void {
    this.#isAdmitted = true;
    this.#stream.giveBack(this.#withheldBytes);
    this.#withheldBytes = 0;
  }

  #refuse(reason: string): void {
    this.#options.onRefused(reason);
    this.#stream.cancel(CANCEL_REASON.refused);
  }

  /** @returns undefined for what is not one JSON-RPC message: the edge lets nothing else through, so it was not the edge */
  #readBody(bytes: Buffer, serverId: string): RequestBody | undefined {
    try {
      return this.#options.readMessage(bytes, serverId);
    } catch {
      return undefined;
    }
  }
}
