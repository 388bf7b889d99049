// The part of undici's handler that every request to a backend shares: the guard before the first byte, decoding, back-pressure.
import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Dispatcher } from 'undici';
import type { CallQueue } from './call-queue.js';
import { ReplyHeaders } from './reply-headers.js';

class UnknownEncoding extends Error {
  readonly code = 'BERTH_ENCODING';
}

/**
 * It has the call-backs that undici's core calls by itself. The newer ones (`onRequestStart` …) it serves through an adapter, which makes
 * two objects for each request and an object of all headers for each answer: a tenth of what a call costs there.
 */
export abstract class ReplyHandler implements Dispatcher.DispatchHandler {
  /** Bytes of the request have left, or are about to in this tick. */
  protected sent = false;
  #abort: ((error?: Error) => void) | undefined;
  #resume: (() => void) | undefined;
  #isPaused = false;
  /** Set by whoever puts it into a bounded pool. */
  queue: CallQueue | undefined;
  #decoder: Transform | undefined;
  #failed = false;

  /** The guard. Asked right before the bytes leave; what it returns is thrown and nothing leaves. */
  protected abstract refusal(): Error | undefined;
  protected abstract onHead(status: number, headers: ReplyHeaders): void;
  protected abstract onChunk(chunk: Buffer): void;
  protected abstract onEnd(): void;
  /** The request failed before or while it was answered. Runs once, and never after onEnd. */
  protected abstract onFailure(error: unknown): void;

  /** Makes the handler ready for another request (a repeat, a resumption). */
  protected reset(): void {
    this.#abort = undefined;
    this.#resume = undefined;
    this.#isPaused = false;
    this.sent = false;
    this.#decoder = undefined;
    this.#failed = false;
  }

  // undici runs this synchronously before socket.write, also for a request that had waited in its queues. Throwing (unlike
  // aborting) fails the request alone and leaves the idle connection usable.
  onConnect(abort: (error?: Error) => void): void {
    const { queue } = this;
    this.#leaveQueue();
    const refusal = this.sent ? new Error('a request is never sent twice') : this.refusal();
    if (refusal) throw refusal;
    if (queue) queue.sent++;
    this.#abort = abort;
    this.sent = true;
  }

  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void): boolean {
    this.#resume = resume;
    if (status < 200) return !this.#isPaused;
    const headers = new ReplyHeaders(rawHeaders);
    const encoding = headers.get('content-encoding');
    if (encoding !== undefined && encoding !== '' && encoding !== 'identity') {
      const decoder = makeDecoder(encoding);
      if (!decoder) {
        this.#abort?.(new UnknownEncoding(`content-encoding ${encoding.slice(0, 40)}`));
        return true;
      }
      this.#decode(decoder);
    }
    this.onHead(status, headers);
    return !this.#isPaused;
  }

  onData(chunk: Buffer): boolean {
    if (!this.#failed) {
      if (!this.#decoder) this.onChunk(chunk);
      else if (!this.#decoder.write(chunk)) this.#isPaused = true;
    }
    return !this.#isPaused;
  }

  onComplete(): void {
    if (this.#decoder) this.#decoder.end();
    else if (!this.#failed) this.onEnd();
  }

  onError(error: Error): void {
    if (!this.sent) this.#leaveQueue();
    this.#fail(error);
  }

  /** Stops reading; may be called while a chunk is handled. */
  protected pause(): void {
    if (this.#decoder) this.#decoder.pause();
    else this.#isPaused = true;
  }

  /** Reads on. In a microtask: undici's parser must not be resumed from within a call-back of the parser. */
  protected resumeReading(): void {
    const decoder = this.#decoder;
    const abort = this.#abort;
    queueMicrotask(() => {
      if (decoder) decoder.resume();
      // Another one by now, if it was made ready for another request: that was not paused by whoever asks here.
      else if (abort === this.#abort) this.#readOn();
    });
  }

  /** Gives the request up and, if it was sent, its connection. */
  protected abort(error: Error): void {
    this.#abort?.(error);
    this.#decoder?.destroy();
  }

  /** Whether the body is decoded: its declared length then says nothing. */
  protected get isDecoded(): boolean {
    return this.#decoder !== undefined;
  }

  #readOn(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#resume?.();
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#decoder?.destroy();
    this.onFailure(error);
  }

  #leaveQueue(): void {
    if (!this.queue) return;
    this.queue.waiting--;
    this.queue = undefined;
  }

  #decode(decoder: Transform): void {
    this.#decoder = decoder;
    const abort = this.#abort;
    const giveUp = (error: Error) => {
      if (this.#decoder !== decoder) return;
      abort?.(error);
      // Where the answer had ended already, the abort does nothing and the failure has to be told here.
      if (this.#decoder === decoder) this.#fail(error);
    };
    // undici catches what a handler throws; in an event of the decoder's it would end the process.
    const guarded = (step: () => void) => {
      if (this.#failed) return;
      try {
        step();
      } catch (error) {
        const thrown = error instanceof Error ? error : new Error(String(error));
        if (this.#decoder === decoder) giveUp(thrown);
        else this.#fail(thrown);
      }
    };
    decoder.on('data', (chunk: Buffer) => guarded(() => this.onChunk(chunk)));
    decoder.on('drain', () => {
      if (this.#decoder === decoder) this.#readOn();
    });
    decoder.on('end', () => guarded(() => this.onEnd()));
    decoder.on('error', giveUp);
  }
}

function makeDecoder(encoding: string): Transform | undefined {
  switch (encoding.trim().toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'br':
      return createBrotliDecompress();
    case 'deflate':
      return createInflate();
    default:
      return undefined;
  }
}
