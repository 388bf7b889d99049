// One pub/sub channel by which workers tell each other what is not worth a record, such as "this backend's catalog has changed".
// Messages may be lost while Redis is away: whoever listens must also have a time after which it looks for itself.
import type { RedisConnection } from './connect.js';

export class Broadcast {
  readonly #publisher: RedisConnection;
  readonly #channel: string;

  /**
   * @param subscriber a connection of its own (a subscribed connection takes no other commands)
   * @param onMessage texts of the other workers, and our own
   */
  constructor(publisher: RedisConnection, subscriber: RedisConnection, channel: string, onMessage: (text: string) => void) {
    this.#publisher = publisher;
    this.#channel = channel;
    subscriber.on('message', (from: string, text: string) => {
      if (from === channel) onMessage(text);
    });
    // Rejected only when the connection is closed for good.
    subscriber.subscribe(channel).catch(() => undefined);
  }

  publish(text: string): void {
    this.#publisher.publish(this.#channel, text).catch(() => undefined);
  }
}
