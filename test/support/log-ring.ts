// The last log lines of a process under test, bounded: a test that goes wrong for an hour fills no memory.
import type { ChildProcess } from 'node:child_process';

export type LogLine = Readonly<Record<string, unknown>>;

const MAX_LINES = 20_000;
const MAX_STDERR = 64 * 1024;

export class LogRing {
  readonly #lines: LogLine[] = [];
  #stderr = '';
  #rest = '';

  constructor(child: ChildProcess) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_STDERR);
    });
  }

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  get stderr(): string {
    return this.#stderr;
  }

  #take(text: string): void {
    const parts = (this.#rest + text).split('\n');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) {
      if (part === '') continue;
      try {
        this.#lines.push(JSON.parse(part));
      } catch {
        this.#lines.push({ unparsed: part });
      }
    }
    if (this.#lines.length > MAX_LINES) this.#lines.splice(0, this.#lines.length - MAX_LINES);
  }
}
