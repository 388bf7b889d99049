// Sends what has no answer (notifications, answers to the backend) by small POSTs, within bounds: nobody waits for them, so nothing
// slows down whoever causes them. What a backend does not take is dropped: it may be lost, the worker's memory may not.
import { GatewayError } from '../../errors/gateway-error.js';
import { obtain } from '../credentials/credentials.js';
import { unavailable } from '../failures.js';
import { ControlRequest } from './control-request.js';
import { statusError } from './transport-error.js';
import type { HttpTransport } from './transport.js';

/** Bound of one of them: nobody waits for it. */
const TELL_MS = 10_000;
/** Under way to one backend session: the client was told 202 long ago, so nothing slows it down. */
const MAX_TOLD = 128;
/** Their text, in characters or bytes; one always fits. */
const MAX_TOLD_LENGTH = 8 * 1024 * 1024;

export interface TellingOptions {
  readonly transport: HttpTransport;
  /** For the log. */
  readonly sessionRef: string;
  readonly mayAct: () => boolean;
  /** Under way at a time; default 128. */
  readonly max?: number;
}

export interface Told {
  readonly path: string;
  /** @param credential of the moment, if there is one */
  readonly headers: (credential: string | undefined) => string[];
  readonly text: Buffer | string;
  /** For the log: its method, `answer` (ours), or `response` (the client's). */
  readonly what: string;
}

export class Telling {
  readonly #options: TellingOptions;
  readonly #max: number;
  #count = 0;
  #length = 0;
  #isFlooded = false;

  constructor(options: TellingOptions) {
    this.#options = options;
    this.#max = options.max ?? MAX_TOLD;
  }

  /** Resolves when the backend has it, with an error if it did not take it, which is logged. Never rejects. */
  async post(told: Told): Promise<GatewayError | undefined> {
    const { text, what } = told;
    if (this.#count >= this.#max || (this.#count > 0 && this.#length + text.length > MAX_TOLD_LENGTH)) {
      const error = unavailable(this.#options.transport.name, 'busy');
      // One line for a flood.
      if (!this.#isFlooded) this.note(what, error);
      this.#isFlooded = true;
      return error;
    }
    this.#count++;
    this.#length += text.length;
    const error = await this.#send(told);
    this.#count--;
    this.#length -= text.length;
    if (this.#count === 0) this.#isFlooded = false;
    if (error) this.note(what, error);
    return error;
  }

  /** A failure is only worth a line in the log. */
  note(what: string, { code, details }: GatewayError): void {
    const { transport, sessionRef } = this.#options;
    const reason = code === 'BACKEND_UNAVAILABLE' ? details?.reason : code;
    transport.logger?.warn({ backend: transport.name, session: sessionRef, what, reason }, 'not taken by the backend');
  }

  async #send({ path, headers, text }: Told): Promise<GatewayError | undefined> {
    const { transport, mayAct } = this.#options;
    const { name, control, deadlines, clock, credentials } = transport;
    const deadlineMs = clock.monotonicMs() + TELL_MS;
    try {
      const credential = await obtain(credentials, deadlineMs);
      const { reply } = new ControlRequest(control, deadlines, {
        ...{ backend: name, method: 'POST', path, headers: headers(credential), body: text },
        refusal: () => (mayAct() ? undefined : new GatewayError('NOT_OWNER')),
        deadlineMs,
      });
      const { status } = await reply;
      if (status === 401 && credential !== undefined) credentials.refuse(credential);
      return status > 299 ? statusError(name, status) : undefined;
    } catch (error) {
      return error instanceof GatewayError ? error : unavailable(name, 'failed', {}, error);
    }
  }
}
