// What a process has started, each with its end: ended in the reverse order, also when the start was interrupted half-way.
import type { Logger } from '../observability/log.js';

export class Stages {
  readonly #stages: Array<{ readonly name: string; readonly end: () => void | Promise<void> }> = [];
  readonly #log: Pick<Logger, 'error'>;
  /** Rejects with the reason of the first `interrupt`; never resolves. */
  readonly interrupted: Promise<never>;
  #interrupt: (reason: Error) => void = () => undefined;

  /** @param log hears of what could not be ended */
  constructor(log: Pick<Logger, 'error'>) {
    this.#log = log;
    this.interrupted = new Promise((_, reject) => {
      this.#interrupt = reject;
    });
    // It may come before or after anybody waits for it.
    this.interrupted.catch(() => undefined);
  }

  /** To be called as soon as there is something to end, before what may be interrupted. */
  add(name: string, end: () => void | Promise<void>): void {
    this.#stages.push({ name, end });
  }

  /** Time to stop: only the first reason counts. */
  interrupt(reason: Error): void {
    this.#interrupt(reason);
  }

  /**
   * Goes on with the next step only if nobody has asked for the end meanwhile; the step itself is ended by its stage.
   * @throws the reason of the interruption
   */
  unlessInterrupted<T>(step: Promise<T>): Promise<T> {
    return Promise.race([step, this.interrupted]);
  }

  /** Ends them one after the other, the last one first; one that cannot be ended keeps no other from its end. Never rejects. */
  async end(): Promise<void> {
    for (const { name, end } of this.#stages.reverse()) {
      try {
        await end();
      } catch (error) {
        this.#log.error({ stage: name, error: String(error) }, 'a stage could not be ended');
      }
    }
  }
}
