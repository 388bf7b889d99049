// How the answer of one request becomes a stream of its session.
import type { CallStream, CallStreamOpener } from '../eras/legacy/call-answer.js';
import type { RequestId } from '../protocol/json-rpc.js';
import { encodeMark } from '../streams/backend-marks.js';
import type { Exchange, Headers } from '../streams/exchange.js';
import type { Session } from './session.js';

/** The stream of a batch, as one of its requests sees it. */
export interface SharedStream extends Required<Pick<CallStreamOpener, 'isLost' | 'collect'>> {
  openStream(isFinal: boolean): CallStream;
}

export class CallStreams implements CallStreamOpener {
  readonly #session: Session;
  readonly #exchange: Exchange;
  readonly #id: RequestId;
  readonly #headers: Headers;
  readonly #shared: SharedStream | undefined;

  /** @param shared the stream of a batch, which cannot be resumed */
  constructor(session: Session, exchange: Exchange, id: RequestId, headers: Headers, shared?: SharedStream) {
    this.#shared = shared;
    this.#session = session;
    this.#exchange = exchange;
    this.#id = id;
    this.#headers = headers;
  }

  get isPrimed(): boolean {
    return this.#session.isPrimed && !this.#shared;
  }

  get isLost(): boolean {
    return this.#shared?.isLost ?? false;
  }

  collect(bytes: number): boolean {
    return this.#shared?.collect(bytes) ?? true;
  }

  open(marks: string, isFinal: boolean): CallStream {
    if (this.#shared) return this.#shared.openStream(isFinal);
    return this.#session.openCallStream(this.#id, this.#exchange, this.#headers, marks);
  }

  marksFor(eventId: string | undefined): string {
    const { backend } = this.#exchange.note;
    // '' would say that there is nothing to be missed.
    if (this.#shared || !eventId || backend === undefined) return '';
    return encodeMark(backend, this.#session.generationOf(backend), eventId);
  }
}
