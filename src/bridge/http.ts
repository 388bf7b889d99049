// The connections to the gateway. Tells of each request whether bytes of it have left: only what has not may be sent again.
import type { IncomingHttpHeaders } from 'node:http';
import { DecoratorHandler, type Dispatcher, Pool } from 'undici';
import { reasonOf } from './failures.js';

export interface HttpRequest {
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly signal: AbortSignal;
  /** Until the head of the answer; 0 (default): for ever. */
  readonly headTimeoutMs?: number;
  /** Runs right before the first byte leaves. */
  readonly onSent?: () => void;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Whether its type is the named one. */
  isOf(type: string): boolean;
  /** @throws anything if the connection breaks */
  chunks(): AsyncIterable<Buffer>;
  /** The body as text, cut at the limit. @throws anything if the connection breaks */
  text(limitBytes: number): Promise<string>;
  /** Gives the rest up. */
  discard(): void;
}

/** No answer came. */
export class SendFailed extends Error {
  readonly isLasting: boolean;

  constructor(cause: unknown) {
    const { text, isLasting } = reasonOf(cause);
    super(text, { cause });
    this.isLasting = isLasting;
  }
}

const CONNECT_TIMEOUT_MS = 5000;

type WithMark = Dispatcher.DispatchOptions & { readonly opaque?: HttpRequest };

/** Its declaration does not tell what it decorates. */
const Decorator = DecoratorHandler as unknown as new (
  handler: Dispatcher.DispatchHandler,
) => { onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void };

/** undici calls onRequestStart synchronously before it writes; a request that was given up before is not written. */
class SentMark extends Decorator {
  readonly #request: HttpRequest;

  constructor(handler: Dispatcher.DispatchHandler, request: HttpRequest) {
    super(handler);
    this.#request = request;
  }

  override onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    if (!this.#request.signal.aborted) this.#request.onSent?.();
    super.onRequestStart(controller, context);
  }
}

export class GatewayHttp {
  readonly #pool: Pool;
  readonly #dispatcher: Dispatcher;
  readonly #path: string;
  readonly #fixed: Readonly<Record<string, string>>;

  /** @param fixed headers of every request */
  constructor(url: URL, fixed: Readonly<Record<string, string>>) {
    this.#path = url.pathname + url.search;
    this.#fixed = fixed;
    // As many connections as requests are in flight: those are bounded (traffic.ts), and a long call must starve no short one.
    this.#pool = new Pool(url.origin, {
      connect: { timeout: CONNECT_TIMEOUT_MS },
      pipelining: 1,
      bodyTimeout: 0,
      // Idle connections are closed by us before the gateway does it under a request.
      keepAliveTimeout: 4000,
      keepAliveMaxTimeout: 4000,
    });
    this.#dispatcher = this.#pool.compose((dispatch) => (options: WithMark, handler) => {
      const { opaque } = options;
      return dispatch(options, opaque ? new SentMark(handler, opaque) : handler);
    });
  }

  /** @throws SendFailed, also when the signal comes first */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    const { method, headers, body, signal, headTimeoutMs = 0 } = request;
    const answered = this.#dispatcher.request({
      method,
      path: this.#path,
      headers: { ...this.#fixed, ...headers },
      body: body ?? null,
      signal,
      headersTimeout: headTimeoutMs,
      opaque: request,
    });
    try {
      const { statusCode, headers: head, body: stream } = await orAborted(answered, signal);
      // Given up while nobody reads it, it would end the process.
      stream.on('error', () => undefined);
      return {
        status: statusCode,
        headers: head,
        isOf: (type) =>
          String(head['content-type'] ?? '')
            .toLowerCase()
            .startsWith(type),
        chunks: () => stream,
        text: (limitBytes) => gather(stream, limitBytes),
        discard: () => void stream.destroy(),
      };
    } catch (error) {
      throw new SendFailed(error);
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** undici hears of the signal only when a connection is there. */
function orAborted<T>(answered: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    answered.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
  });
}

async function gather(stream: AsyncIterable<Buffer>, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    chunks.push(chunk);
    // Leaving the loop ends the connection.
    if (bytes > limitBytes) break;
  }
  return Buffer.concat(chunks)
    .subarray(0, limitBytes + 1)
    .toString('utf8');
}
