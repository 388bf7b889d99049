// The part of undici's handler that every request to a backend shares: the guard before the first byte, decoding, back-pressure.
import type { IncomingHttpHeaders } from 'node:http';
import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Dispatcher } from 'undici';

/** How many requests wait in a pool for a connection. */
export interface WaitingCount {
  waiting: number;
}

class UnknownEncoding extends Error {
  readonly code = 'BERTH_ENCODING';
}

export abstract class ReplyHandler implements Dispatcher.DispatchHandler {
  protected controller: Dispatcher.DispatchController | undefined;
  /** Bytes of the request have left, or are about to in this tick. */
  protected sent = false;
  /** Set by whoever puts it into a bounded pool. */
  queue: WaitingCount | undefined;
  #decoder: Transform | undefined;
  #failed = false;

  /** The guard. Asked right before the bytes leave; what it returns is thrown and nothing leaves. */
  protected abstract refusal(): Error | undefined;
  protected abstract onHead(status: number, headers: IncomingHttpHeaders): void;
  protected abstract onChunk(chunk: Buffer): void;
  protected abstract onEnd(): void;
  /** The request failed before or while it was answered. Runs once, and never after onEnd. */
  protected abstract onFailure(error: unknown): void;

  /** Makes the handler ready for another request (a repeat, a resumption). */
  protected reset(): void {
    this.controller = undefined;
    this.sent = false;
    this.#decoder = undefined;
    this.#failed = false;
  }

  // undici runs this synchronously before socket.write, also for a request that had waited in its queues. Throwing (unlike
  // controller.abort) fails the request alone and leaves the idle connection usable.
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#leaveQueue();
    const refusal = this.sent ? new Error('a request is never sent twice') : this.refusal();
    if (refusal) throw refusal;
    this.controller = controller;
    this.sent = true;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding !== '' && encoding !== 'identity') {
      const decoder = makeDecoder(encoding);
      if (!decoder) {
        controller.abort(new UnknownEncoding(`content-encoding ${String(encoding).slice(0, 40)}`));
        return;
      }
      this.#decode(decoder, controller);
    }
    this.onHead(status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#failed) return;
    if (!this.#decoder) this.onChunk(chunk);
    else if (!this.#decoder.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#decoder) this.#decoder.end();
    else if (!this.#failed) this.onEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (!this.sent) this.#leaveQueue();
    this.#fail(error);
  }

  /** Stops reading; may be called while a chunk is handled. */
  protected pause(): void {
    if (this.#decoder) this.#decoder.pause();
    else this.controller?.pause();
  }

  /** Reads on. In a microtask: undici's parser must not be resumed from within a call-back of the parser. */
  protected resumeReading(): void {
    const { controller } = this;
    const decoder = this.#decoder;
    queueMicrotask(() => (decoder ? decoder.resume() : controller?.resume()));
  }

  /** Gives the request up and, if it was sent, its connection. */
  protected abort(error: Error): void {
    this.controller?.abort(error);
    this.#decoder?.destroy();
  }

  /** Whether the body is decoded: its declared length then says nothing. */
  protected get isDecoded(): boolean {
    return this.#decoder !== undefined;
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

  #decode(decoder: Transform, controller: Dispatcher.DispatchController): void {
    this.#decoder = decoder;
    const giveUp = (error: Error) => {
      if (this.#decoder !== decoder) return;
      controller.abort(error);
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
    decoder.on('drain', () => controller.resume());
    decoder.on('end', () => guarded(() => this.onEnd()));
    decoder.on('error', giveUp);
  }
}

function makeDecoder(encoding: string | string[]): Transform | undefined {
  switch (String(encoding).trim().toLowerCase()) {
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
