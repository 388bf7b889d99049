// stdin: one message a line, as long as the gateway would take it.
import type { Readable } from 'node:stream';
import { LineSplitter } from '../streams/line-splitter.js';
import { type Incoming, readLine, refuseTooLong } from './message.js';

/** As `limits.body` of the gateway. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;

export class Input {
  readonly #stdin: Readable;
  #isPaused = false;
  #isEnded = false;

  /**
   * @param onMessage gets each line that is not blank
   * @param onEnd once: the client has closed its end
   */
  constructor(stdin: Readable, onMessage: (message: Incoming, bytes: Buffer) => void, onEnd: () => void) {
    this.#stdin = stdin;
    const skip = (head: Buffer, tail: Buffer) => onMessage(refuseTooLong(head, tail, MAX_LINE_BYTES), head);
    // One more: a carriage return at the end is no part of the line.
    const splitter = new LineSplitter({ maxBytes: MAX_LINE_BYTES + 1, onTooLong: { skip } }, (line) => {
      if (!isBlank(line)) onMessage(readLine(line), line);
    });
    const end = () => {
      if (this.#isEnded) return;
      this.#isEnded = true;
      splitter.finish();
      onEnd();
    };
    stdin.on('data', (chunk: Buffer) => splitter.push(chunk));
    for (const event of ['end', 'close', 'error']) stdin.on(event, end);
  }

  setPaused(paused: boolean): void {
    if (paused === this.#isPaused) return;
    this.#isPaused = paused;
    if (paused) this.#stdin.pause();
    else this.#stdin.resume();
  }
}

const isBlank = (line: Buffer): boolean => line.every((byte) => byte === 32 || byte === 9);
