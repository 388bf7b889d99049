// The event store of an SDK server: exact order, ids that say their stream, and nothing forgotten. One for each session.
import type { EventId, EventStore, StreamId } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';

export class EventLog implements EventStore {
  readonly #events: Array<{ readonly stream: StreamId; readonly message: JSONRPCMessage }> = [];

  async storeEvent(stream: StreamId, message: JSONRPCMessage): Promise<EventId> {
    return `${stream}#${this.#events.push({ stream, message })}`;
  }

  async getStreamIdForEventId(eventId: EventId): Promise<StreamId | undefined> {
    return this.#events[Number(eventId.split('#')[1]) - 1]?.stream;
  }

  async replayEventsAfter(
    last: EventId,
    { send }: { send: (eventId: EventId, message: JSONRPCMessage) => Promise<void> },
  ): Promise<StreamId> {
    const [stream = '', after = ''] = last.split('#');
    for (const [index, event] of [...this.#events.entries()].slice(Number(after))) {
      if (event.stream === stream) await send(`${stream}#${index + 1}`, event.message);
    }
    return stream;
  }
}
