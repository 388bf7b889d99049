// Messages out of an event stream, and what is needed to resume it.
import { isHeaderValue } from '../protocol/header-value.js';
import { SseScanner } from '../protocol/sse.js';

/** Ids come back in a header: heads of more than 16 KiB are refused by most servers. */
const MAX_ID_LENGTH = 4096;

export class EventCursor {
  /** Of the last event that had one; undefined until then, and where no request could carry it. */
  lastEventId: string | undefined;
  /** What the gateway asked to wait before a reconnect. */
  retryMs: number | undefined;
  /** Events seen, messages or not. */
  seen = 0;
}

/**
 * The messages of a stream, as text, one by one as they come: what is not asked for is not read. Ends where the stream ends.
 * @throws SseEventTooLarge, or anything if the connection breaks
 */
export async function* readMessages(chunks: AsyncIterable<Buffer>, cursor: EventCursor): AsyncGenerator<string> {
  const scanner = new SseScanner();
  for await (const chunk of chunks) {
    scanner.push(chunk);
    for (let event = scanner.next(); event; event = scanner.next()) {
      cursor.seen++;
      if (event.id !== undefined) cursor.lastEventId = usable(event.id);
      if (event.retryMs !== undefined) cursor.retryMs = event.retryMs;
      const isMessage = event.event === undefined || event.event === '' || event.event === 'message';
      if (isMessage && event.data.length > 0) yield event.data.toString('utf8');
    }
  }
  // Some servers end the stream right behind the data, without the blank line.
  const rest = scanner.finish();
  if (rest && rest.data.length > 0) yield rest.data.toString('utf8');
}

const usable = (id: string) => (id !== '' && id.length <= MAX_ID_LENGTH && isHeaderValue(id) ? id : undefined);
