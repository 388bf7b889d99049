// Why the process cannot start (or run on): the message names the place and the remedy, the code becomes the exit code.

/** `failed`: a command was refused what it asked for, such as a session that is not there. */
export const EXIT = { ok: 0, forced: 1, failed: 1, usage: 64, unavailable: 69, config: 78 } as const;

export class StartError extends Error {
  readonly exitCode: number;

  /**
   * @param exitCode one of EXIT: 64 bad usage, 69 Redis unreachable or a port in use, 78 bad configuration
   * @param message one or more lines for the terminal, naming the place and what to do
   */
  constructor(exitCode: (typeof EXIT)[keyof typeof EXIT], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StartError';
    this.exitCode = exitCode;
  }
}
