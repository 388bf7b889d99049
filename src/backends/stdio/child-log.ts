// What a child prints besides JSON-RPC, for the log: cut, rate-bounded, without control characters and known secrets.
import type { Clock } from '../../lifecycle/clock.js';
import { LineSplitter } from '../../streams/line-splitter.js';

/** The little of a pino logger that is used here. */
export interface StdioLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

const MAX_LINE_BYTES = 2048;
/** A stack trace passes whole, a child that prints without end does not fill the log. */
const BURST_LINES = 100;
const WINDOW_MS = 10_000;
/** Shorter values of `env` are rather flags than secrets, and would blank half of every line. */
const MIN_SECRET_LENGTH = 8;

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences of a child must not reach an operator's terminal
const CONTROL = /\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g;
const CREDENTIAL =
  /(\bbearer\s+|\b[\w-]*(?:token|secret|passw(?:or)?d|api[-_]?key|authorization)["']?\s*[=:]\s*["']?)[^\s"',;]+/gi;

export interface ChildLogOptions {
  readonly sessionRef: string;
  /** `env` of the backend: its values are blanked. */
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly logger: StdioLogger | undefined;
}

export class ChildLog {
  readonly #options: ChildLogOptions;
  readonly #secrets: readonly string[];
  readonly #stderr: LineSplitter;
  #windowStartMs = 0;
  #lines = 0;
  #suppressed = 0;
  #last: Buffer | undefined;

  constructor(options: ChildLogOptions) {
    this.#options = options;
    // Longest first: a secret that begins with another one is blanked whole.
    const values = Object.values(options.env).filter((value) => value.length >= MIN_SECRET_LENGTH);
    this.#secrets = values.sort((a, b) => b.length - a.length);
    this.#stderr = new LineSplitter({ maxBytes: MAX_LINE_BYTES, onTooLong: 'cut' }, (line) => this.#line('stderr', line));
  }

  /** The last line of stderr, fit for the log; '' if there was none. */
  get lastLine(): string {
    return this.#last ? this.#clean(this.#last) : '';
  }

  stderr(chunk: Buffer): void {
    this.#stderr.push(chunk);
  }

  /** A line of stdout that is no message: a banner, a print that was forgotten. */
  strayLine(line: Buffer): void {
    this.#line('stdout', line.subarray(0, MAX_LINE_BYTES));
  }

  event(message: string, fields: Readonly<Record<string, unknown>>): void {
    this.#options.logger?.warn({ ...this.#who(), ...fields }, message);
  }

  finish(): void {
    this.#stderr.finish();
    this.#tellSuppressed();
  }

  #line(stream: 'stderr' | 'stdout', line: Buffer): void {
    if (line.length === 0) return;
    if (stream === 'stderr') this.#last = line;
    // A flood costs as little as it can: what is suppressed is not even decoded.
    if (!this.#mayLog()) return;
    const text = this.#clean(line);
    this.#options.logger?.info(
      { ...this.#who(), stream, text },
      stream === 'stderr' ? 'stdio backend says' : 'not JSON-RPC: skipped',
    );
  }

  #mayLog(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#windowStartMs >= WINDOW_MS) {
      this.#windowStartMs = nowMs;
      this.#lines = 0;
      this.#tellSuppressed();
    }
    if (this.#lines < BURST_LINES) {
      this.#lines++;
      return true;
    }
    this.#suppressed++;
    return false;
  }

  #tellSuppressed(): void {
    if (this.#suppressed === 0) return;
    this.#options.logger?.info({ ...this.#who(), lines: this.#suppressed }, 'stdio backend says too much: lines suppressed');
    this.#suppressed = 0;
  }

  #who() {
    return { session: this.#options.sessionRef };
  }

  #clean(line: Buffer): string {
    let text = line.toString('utf8').replace(CONTROL, '');
    for (const secret of this.#secrets) text = text.replaceAll(secret, '***');
    return text.replace(CREDENTIAL, '$1***');
  }
}
