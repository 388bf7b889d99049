// Messages out of an event stream: skips priming events and foreign types, remembers what a reconnect needs.
import { SseScanner } from '../../protocol/sse.js';

export class EventReader {
  readonly #scanner = new SseScanner();
  /** The last id of the stream; undefined until one came. */
  lastEventId: string | undefined;
  /** Of the event whose message was given last; undefined: it had none of its own. */
  eventId: string | undefined;
  /** What the backend asked to wait before a reconnect. */
  retryMs: number | undefined;

  push(chunk: Buffer): void {
    this.#scanner.push(chunk);
  }

  /** The next message as JSON text, or undefined until more bytes come. @throws SseEventTooLarge */
  next(): Buffer | undefined {
    for (;;) {
      const event = this.#scanner.next();
      if (event === undefined) return undefined;
      if (event.id !== undefined) this.lastEventId = event.id;
      if (event.retryMs !== undefined) this.retryMs = event.retryMs;
      // A priming event has empty data and is no message.
      if (event.data.length > 0 && (event.event === undefined || event.event === '' || event.event === 'message')) {
        this.eventId = event.id;
        return event.data;
      }
    }
  }

  /** A message whose blank line never came: some servers end the stream right behind the data. */
  finish(): Buffer | undefined {
    const event = this.#scanner.finish();
    this.eventId = event?.id;
    return event && event.data.length > 0 ? event.data : undefined;
  }
}
