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
  /** So many got a connection within the bound when the worker held them up last; whoever waits behind more of them waits longer. */
  #mostWaiting = Number.POSITIVE_INFINITY;

  constructor(connections: number) {
    this.#connections = connections;
  }

  /** Whether the last one waits for longer than the bound, because of this worker. */
  get isTooLong(): boolean {
    return this.waiting > this.#mostWaiting;
  }

  /**
   * Whether there is something to be worked off, because of this worker: more than can be sent in the next turn. Fewer say nothing: undici
   * looks at an idle connection for the rest of the turn before it sends anything over it.
   */
  get hasBacklog(): boolean {
    return this.waiting > this.#connections && this.#mostWaiting !== Number.POSITIVE_INFINITY;
  }

  /**
   * To be asked of a full event loop, regularly.
   * @param turns of the loop since it was asked last
   * @returns whether it is too long now
   */
  look(turns: number, boundMs: number, elapsedMs: number): boolean {
    const { sent } = this;
    this.sent = 0;
    if (sent * MOST_TURNS < this.#connections * turns) {
      // Race: the backend may have become slow while the worker was overloaded; others would be refused for its sake.
      if (this.hasBacklog) this.forget();
      return false;
    }
    this.#mostWaiting = (sent * boundMs) / elapsedMs;
    return this.isTooLong;
  }

  /** To be told when the event loop was not full: what waits then, waits for the backend. */
  forget(): void {
    this.sent = 0;
    this.#mostWaiting = Number.POSITIVE_INFINITY;
  }
}

/** Of all backends of a worker. */
export type CallQueues = Set<CallQueue>;
