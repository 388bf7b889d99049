// What clients have not taken stays in this process, node counts none of it, and a peer whose window is closed may keep its connection
// open for days. So a connection on which nothing moves for too long is closed, whatever the answer is, and all of them together hold
// no more than a bound. Streams end in order before that (streams/readers.ts): what is closed here had time to take even its end.
import type { Socket } from 'node:net';
import { AwakeTime } from '../lifecycle/awake-time.js';
import type { Clock, Timer } from '../lifecycle/clock.js';

/** `stalled`: nothing moved for too long; `memory`: all connections together held too much, and this one moved least lately. */
export type CutReason = 'stalled' | 'memory';

export interface UnreadBytesOptions {
  readonly clock: Clock;
  /** How long nothing may move while something waits, ms; asked at each look. */
  readonly maxStallMs: () => number;
  /** What may wait in all connections together; default 256 MiB. */
  readonly maxBytes?: number;
  readonly onCut: (reason: CutReason, bytes: number) => void;
}

/** The part of a socket that is looked at. */
export type WatchedSocket = Pick<Socket, 'writableLength' | 'bytesWritten' | 'destroy'> & {
  once(event: 'close', listener: () => void): unknown;
  /** Of node: what the kernel has not taken of the write under way, which `writableLength` counts whole until its end. */
  readonly _handle?: { readonly writeQueueSize?: number } | null;
};

interface Stall {
  /** Bytes of the writes that are through. */
  written: number;
  /** Of the write under way. */
  queued: number;
  /** When that was last different, in `#awake`. */
  sinceMs: number;
}

const LOOK_MS = 1000;
const MAX_BYTES = 256 * 1024 * 1024;

export class UnreadBytes {
  readonly #options: UnreadBytesOptions;
  readonly #awake: AwakeTime;
  readonly #sockets = new Set<WatchedSocket>();
  readonly #stalls = new Map<WatchedSocket, Stall>();
  #timer: Timer | undefined;

  constructor(options: UnreadBytesOptions) {
    this.#options = options;
    this.#awake = new AwakeTime(options.clock, LOOK_MS);
  }

  /** Until it is closed. */
  watch(socket: WatchedSocket): void {
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#stalls.delete(socket);
    });
    this.#timer ??= this.#options.clock.every(LOOK_MS, () => this.#look());
  }

  /** Connections that are watched. */
  get size(): number {
    return this.#sockets.size;
  }

  #look(): void {
    const { maxStallMs, maxBytes = MAX_BYTES } = this.#options;
    const nowMs = this.#awake.look();
    const untilMs = nowMs - maxStallMs();
    let bytes = 0;
    for (const socket of this.#sockets) {
      const unread = socket.writableLength;
      if (unread === 0) this.#stalls.delete(socket);
      else if (this.#movedMs(socket, nowMs) < untilMs) this.#cut(socket, 'stalled');
      else bytes += unread;
    }
    if (bytes > maxBytes) this.#makeRoom(bytes - maxBytes);
    if (this.#sockets.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** @returns when something was first seen to have moved last, in `#awake` */
  #movedMs(socket: WatchedSocket, nowMs: number): number {
    const written = socket.bytesWritten - socket.writableLength;
    const queued = socket._handle?.writeQueueSize ?? 0;
    const stall = this.#stalls.get(socket);
    if (!stall) this.#stalls.set(socket, { written, queued, sinceMs: nowMs });
    else if (stall.written !== written || stall.queued !== queued) Object.assign(stall, { written, queued, sinceMs: nowMs });
    else return stall.sinceMs;
    return nowMs;
  }

  #makeRoom(excess: number): void {
    const byStall = [...this.#stalls].sort(
      ([a, of], [b, than]) => of.sinceMs - than.sinceMs || b.writableLength - a.writableLength,
    );
    for (const [socket] of byStall) {
      if (excess <= 0) return;
      excess -= socket.writableLength;
      this.#cut(socket, 'memory');
    }
  }

  #cut(socket: WatchedSocket, reason: CutReason): void {
    this.#stalls.delete(socket);
    this.#sockets.delete(socket);
    this.#options.onCut(reason, socket.writableLength);
    socket.destroy();
  }
}
