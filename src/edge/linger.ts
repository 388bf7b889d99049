// A request that is answered before its body was read: what is still on its way is read and thrown away for a while. A connection that is
// closed with unread bytes in it is reset, and the reset takes the answer with it that the client has not read yet: many write all of
// their body before they look.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../lifecycle/clock.js';

/** Four times the default of `limits.body`, in the time of a slow line; whoever sends more, or slower, may see the reset. */
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_MS = 10_000;

/** Who has no patience left for one more client shows it the reset, as before: what is refused must not cost without bound. */
const MAX_LINGERING = 1000;

export class Lingering {
  readonly #clock: Clock;
  readonly #sockets = new Set<Socket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Whether this connection has been told that it ends: what comes behind the refused request must not be begun, since its answer would
   * never leave (RFC 9112 9.6).
   */
  has(socket: Socket): boolean {
    return this.#sockets.size > 0 && this.#sockets.has(socket);
  }

  /** Whether it is worth while for one more. */
  mayTake({ headers }: IncomingMessage): boolean {
    return this.#sockets.size < MAX_LINGERING && Number(headers['content-length'] ?? 0) <= MAX_BYTES;
  }

  /** @param end once: all of it has come, its client has left, or the patience has */
  take(request: IncomingMessage, end: () => void): void {
    const { socket } = request;
    let leftBytes = MAX_BYTES;
    const stop = () => {
      timer.cancel();
      request.off('data', drop).off('end', stop).off('close', stop);
      end();
    };
    const drop = (chunk: Buffer) => {
      leftBytes -= chunk.length;
      if (leftBytes < 0) stop();
    };
    const timer = this.#clock.after(MAX_MS, stop);
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    request.on('data', drop).once('end', stop).once('close', stop);
    // Whoever read it before may have paused it.
    request.resume();
  }
}
