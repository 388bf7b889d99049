// An answer that writes down what happens to it, as one list.
import type { Answer, Headers } from '../../../src/streams/exchange.js';

export class RecordingAnswer implements Answer {
  readonly log: string[] = [];
  status = 0;
  headers: Headers = {};
  text = '';
  started = false;
  startedAsEvents = false;
  finished = false;
  /** What write answers: false is a slow reader. */
  takes = true;
  #drain: (() => void) | undefined;

  send(status: number, headers: Headers, body: Buffer | string = ''): void {
    this.#begin('send', status, headers);
    this.text += body.toString();
    this.finished = true;
  }

  start(status: number, headers: Headers): void {
    this.#begin('start', status, headers);
    this.startedAsEvents = headers['content-type'] === 'text/event-stream';
  }

  write(chunk: Buffer | string): boolean {
    this.log.push('write');
    this.text += chunk.toString();
    return this.takes;
  }

  end(): void {
    this.log.push('end');
    this.finished = true;
  }

  destroy(): void {
    this.log.push('destroy');
    this.finished = true;
  }

  onDrain(listener: () => void): void {
    this.#drain = listener;
  }

  drain(): void {
    this.takes = true;
    this.#drain?.();
  }

  /** How often it was begun and completed: exactly one of each is right. */
  get beginnings(): number {
    return this.log.filter((step) => step === 'send' || step === 'start').length;
  }

  get ends(): number {
    return this.log.filter((step) => step === 'send' || step === 'end' || step === 'destroy').length;
  }

  /** Data of the events, as a client reads them. */
  get events(): string[] {
    return this.text
      .split('\n\n')
      .map((block) =>
        block
          .split('\n')
          .filter((line) => line.startsWith('data: '))
          .map((line) => line.slice(6))
          .join('\n'),
      )
      .filter((data) => data !== '');
  }

  #begin(step: string, status: number, headers: Headers): void {
    this.log.push(step);
    this.started = true;
    this.status = status;
    this.headers = headers;
  }
}
