// Signals to the primary: the first asks for an orderly end, the second forces it.

export class StopRequests {
  /** Resolves with the name of the first signal. */
  readonly first: Promise<string>;
  /** Resolves with the name of the second. */
  readonly second: Promise<string>;
  readonly #count = { received: 0 };
  readonly #dispose: () => void;

  /**
   * @param onHangUp SIGHUP to a service means "read the configuration again" and must not end it
   * @param hasTerminal then SIGHUP means that the terminal was closed: an orderly end, or the gateway would run on unseen
   */
  constructor(from: NodeJS.Process, hasTerminal: boolean, onHangUp: () => void) {
    const tell: Array<(signal: string) => void> = [];
    this.first = new Promise((resolve) => tell.push(resolve));
    this.second = new Promise((resolve) => tell.push(resolve));
    const onSignal = (signal: string) => {
      tell[this.#count.received]?.(signal);
      this.#count.received += 1;
    };
    from.on('SIGTERM', onSignal);
    from.on('SIGINT', onSignal);
    const onHup = hasTerminal ? onSignal : onHangUp;
    from.on('SIGHUP', onHup);
    this.#dispose = () => {
      from.off('SIGTERM', onSignal);
      from.off('SIGINT', onSignal);
      from.off('SIGHUP', onHup);
    };
  }

  get isForced(): boolean {
    return this.#count.received >= 2;
  }

  dispose(): void {
    this.#dispose();
  }
}
