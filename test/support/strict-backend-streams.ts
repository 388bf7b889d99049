// The GET streams of the strict backend: one per session, a second live one is a conflict.
import type { ServerResponse } from 'node:http';

export class EventStreams {
  readonly #open = new Map<string, ServerResponse>();
  /** False: as a server without a log, whose events cannot be asked for again. */
  givesIds = true;
  #count = 0;

  /** @returns false if the session has a live stream already */
  open(sessionId: string, response: ServerResponse): boolean {
    if (this.#open.has(sessionId)) return false;
    this.#open.set(sessionId, response);
    response.on('close', () => {
      if (this.#open.get(sessionId) === response) this.#open.delete(sessionId);
    });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    return true;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Bytes that nobody has taken. */
  get waiting(): number {
    return [...this.#open.values()].reduce((sum, { writableLength }) => sum + writableLength, 0);
  }

  has(sessionId: string): boolean {
    return this.#open.has(sessionId);
  }

  /** Pushes a message to the stream of one session (default: all). @returns its number as an event id, whether given or not */
  push(message: object, sessionId?: string): string {
    const id = `g${++this.#count}`;
    for (const [session, response] of this.#open) {
      if (sessionId === undefined || session === sessionId)
        response.write(`${this.givesIds ? `id: ${id}\n` : ''}data: ${JSON.stringify(message)}\n\n`);
    }
    return id;
  }

  /** Writes raw bytes to all streams. */
  write(text: string): void {
    for (const response of this.#open.values()) response.write(text);
  }

  closeAll(): void {
    for (const response of this.#open.values()) response.end();
    this.#open.clear();
  }
}
