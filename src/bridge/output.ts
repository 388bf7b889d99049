// stdout: JSON-RPC lines and nothing else. Whoever writes waits until the client has read enough.
import type { Writable } from 'node:stream';

export class Output {
  readonly #stdout: Writable;
  #drained: Promise<void> | undefined;
  #release: (() => void) | undefined;
  #closed = false;

  /** @param onClosed the client reads no more (EPIPE); at most once */
  constructor(stdout: Writable, onClosed: () => void) {
    this.#stdout = stdout;
    const close = () => {
      if (this.#closed) return;
      this.#closed = true;
      this.#wake();
      onClosed();
    };
    stdout.on('error', close);
    stdout.on('close', close);
    stdout.on('drain', () => this.#wake());
  }

  /** Writes one message. Line breaks between its tokens (inside a string JSON has none) become blanks. @returns once there is room */
  write(json: string): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const hasRoom = this.#stdout.write(`${json.replace(/[\r\n]/g, ' ')}\n`);
    if (hasRoom || this.#closed) return Promise.resolve();
    this.#drained ??= new Promise((resolve) => {
      this.#release = resolve;
    });
    return this.#drained;
  }

  /** Resolves when everything is written, or can no longer be. */
  flush(): Promise<void> {
    if (this.#closed || this.#stdout.writableLength === 0) return Promise.resolve();
    return new Promise((resolve) => this.#stdout.write('', () => resolve()));
  }

  #wake(): void {
    this.#release?.();
    this.#release = undefined;
    this.#drained = undefined;
  }
}
