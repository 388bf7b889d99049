// A request that is answered before its body was read: what is still on its way is read and thrown away for a while. A connection that is
// closed with unread bytes in it is reset, and the reset takes the answer with it that the client has not read yet: many write all of
// their body before they look.
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../lifecycle/clock.js';

/** Four times the default of `limits.body`, in the time of a slow line; whoever sends more, or slower, may see the reset. */
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_MS = 10_000;

/** @param end once: all of it has come, its client has left, or the patience has */
export function linger(request: IncomingMessage, clock: Clock, end: () => void): void {
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
  const timer = clock.after(MAX_MS, stop);
  request.on('data', drop).once('end', stop).once('close', stop);
  // Whoever read it before may have paused it.
  request.resume();
}
