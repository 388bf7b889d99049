// Standard output and error of a command. To a pipe they are written in the background: whoever exits at once cuts off what is longer
// than the pipe holds.
import type { Writable } from 'node:stream';

export class CommandOutput {
  readonly #stream: Writable;
  #failure: NodeJS.ErrnoException | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#failure ??= error;
    });
  }

  readonly write = (text: string): void => {
    if (!this.#failure) this.#stream.write(text);
  };

  /**
   * Resolves when everything has left.
   * @returns why it could not; undefined also if the reader has left (`| head -1`): it has what it wanted
   */
  flushed(): Promise<Error | undefined> {
    return new Promise((resolve) => {
      const told = () => resolve(this.#failure?.code === 'EPIPE' ? undefined : this.#failure);
      // The callback of a write that fails comes before the event.
      if (this.#failure || this.#stream.writableLength === 0) setImmediate(told);
      else this.#stream.write('', () => setImmediate(told));
    });
  }
}
