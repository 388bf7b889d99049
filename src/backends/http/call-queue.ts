// The calls to one backend that wait for one of its connections. It grows for two reasons: the backend is slow, or this worker comes too
// late to read the answers that free the connections. Only the second is overload, and only it is judged here, by counting: no call is timed.

/**
 * A connection that is used again within so many turns of the event loop (on average) is free about as often as the loop looks. Where
 * it takes longer, the backend holds it.
 */
const MOST_TURNS = 4;

export class CallQueue {
  waiting = 0;
  /** Calls that got a connection since the last look. */
  sent = 0;
  readonly #connections: number;
  /** Between two calls that get a connection, as the worker holds them up; 0: it does not. */
  #msPerCall = 0;

  constructor(connections: number) {
    this.#connections = connections;
  }

  /** What the last one in it has to wait for because of this worker, ms, in the middle of a turn. */
  get delayMs(): number {
    // As many as there are connections say nothing: undici looks at an idle one for the rest of the turn before it sends over it.
    return Math.max(0, this.waiting - this.#connections) * this.#msPerCall;
  }

  /**
   * To be asked between two turns of a full event loop, regularly.
   * @param turns of the loop since it was asked last
   * @returns what the last one in it has to wait for because of this worker, ms
   */
  look(turns: number, elapsedMs: number): number {
    const { sent } = this;
    this.sent = 0;
    const isHeldByBackend = sent * MOST_TURNS < this.#connections * turns;
    this.#msPerCall = isHeldByBackend ? 0 : elapsedMs / sent;
    return this.waiting * this.#msPerCall;
  }

  /** To be told when the event loop was not full: what waits then, waits for the backend. */
  forget(): void {
    this.sent = 0;
    this.#msPerCall = 0;
  }
}

/** Of all backends of a worker. */
export type CallQueues = Set<CallQueue>;
