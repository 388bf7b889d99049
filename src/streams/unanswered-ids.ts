// Which requests of a batch have no answer yet, read out of the stream that answers it by whoever passes that on: if the owner is lost,
// the others are told so, and nobody gets two answers.
import type { RequestId } from '../protocol/json-rpc.js';
import { scanMessage } from '../protocol/scan-json.js';
import { SseEventTooLarge, SseScanner } from '../protocol/sse.js';

/** No event of ours is larger: a line of a stdio child, in one event. */
const MAX_EVENT_BYTES = 65 * 1024 * 1024;

export class UnansweredIds {
  readonly #scanner = new SseScanner(MAX_EVENT_BYTES);
  readonly #ids: Set<RequestId>;
  #isLost = false;

  constructor(ids: readonly RequestId[]) {
    this.#ids = new Set(ids);
  }

  /** A part of the stream that is passed on. */
  push(part: Buffer): void {
    if (this.#isLost) return;
    try {
      this.#scanner.push(part);
      for (let event = this.#scanner.next(); event; event = this.#scanner.next()) this.#note(event.data);
    } catch (error) {
      if (!(error instanceof SseEventTooLarge)) throw error;
      this.#isLost = true;
    }
  }

  /** The stream broke off; undefined where it cannot be told. What has not ended with a blank line is no answer: it is made void. */
  finish(): readonly RequestId[] | undefined {
    return this.#isLost ? undefined : [...this.#ids];
  }

  #note(data: Buffer): void {
    const message = scanMessage(data);
    if (message.kind === 'response') this.#ids.delete(message.id);
  }
}
