// Sends what has no answer (notifications, answers to the backend) by small POSTs, within bounds: nobody waits for them, so nothing
// slows down whoever causes them. What a backend does not take is dropped: it may be lost, the worker's memory may not.
import { GatewayError } from '../../errors/gateway-error.js';
import { unavailable } from '../failures.js';
import { ControlRequest } from './control-request.js';
import { statusError } from './transport-error.js';
import type { HttpTransport } from './transport.js';

/** Bound of one of them. */
const TELL_MS = 10_000;
/** Under way to one backend session. */
const MAX_TOLD = 128;
/** Their text, in characters; one always fits. */
const MAX_TOLD_LENGTH = 8 * 1024 * 1024;

export interface Told {
  readonly path: string;
  readonly headers: string[];
  readonly text: string;
  readonly mayAct: () => boolean;
}

export class Telling {
  readonly #transport: HttpTransport;
  #count = 0;
  #length = 0;

  constructor(transport: HttpTransport) {
    this.#transport = transport;
  }

  /** Resolves when the backend has it, with an error if it did not take it. Never rejects. */
  async post({ path, headers, text, mayAct }: Told): Promise<GatewayError | undefined> {
    const { name, control, deadlines, clock } = this.#transport;
    if (this.#count >= MAX_TOLD || (this.#count > 0 && this.#length + text.length > MAX_TOLD_LENGTH)) {
      return unavailable(name, 'busy');
    }
    this.#count++;
    this.#length += text.length;
    try {
      const { reply } = new ControlRequest(control, deadlines, {
        ...{ backend: name, method: 'POST', path, headers, body: text },
        refusal: () => (mayAct() ? undefined : new GatewayError('NOT_OWNER')),
        deadlineMs: clock.monotonicMs() + TELL_MS,
      });
      const { status } = await reply;
      return status > 299 ? statusError(name, status) : undefined;
    } catch (error) {
      return error instanceof GatewayError ? error : unavailable(name, 'failed', {}, error);
    } finally {
      this.#count--;
      this.#length -= text.length;
    }
  }
}
