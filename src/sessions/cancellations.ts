// What a session remembers of cancellations: over HTTP each message has a connection of its own, perhaps to another worker, and one that
// is held or retried arrives after what was sent later. A cancellation may so come before its request, which must not begin then.
import type { Clock } from '../lifecycle/clock.js';
import type { RequestId } from '../protocol/json-rpc.js';

/** A request that is held comes within `limits.hold`; whoever raises that may see an overtaken one run. */
const REMEMBER_MS = 15_000;
const MAX_EARLY = 64;
/** Clients that use an id again cancel the earlier request late at most, not long after: a few ids tell the two apart. */
const MAX_RECENT = 32;
/** A longer id is not remembered. */
const MAX_ID_LENGTH = 64;

export class Cancellations {
  /** Ids of the requests that came last, a ring. */
  readonly #recent: RequestId[] = [];
  #next = 0;
  /** Cancelled before they came, oldest first, with the end of our patience (monotonic). Most sessions never have one. */
  #early: Map<RequestId, number> | undefined;

  /** A request has come. @returns whether it was cancelled before it came */
  arrived(id: RequestId, clock: Pick<Clock, 'monotonicMs'>): boolean {
    if (!isShort(id)) return false;
    this.#recent[this.#next] = id;
    this.#next = (this.#next + 1) % MAX_RECENT;
    const untilMs = this.#early?.get(id);
    if (untilMs === undefined) return false;
    this.#early?.delete(id);
    return clock.monotonicMs() < untilMs;
  }

  /** It goes back to routing and will come again, here or elsewhere: until then a cancellation is early. */
  left(id: RequestId): void {
    for (let index = this.#recent.indexOf(id); index >= 0; index = this.#recent.indexOf(id)) this.#recent[index] = '';
  }

  /** Cancelled is what is not being served: it has been answered, or is still to come. @param nowMs monotonic */
  note(id: RequestId, nowMs: number): void {
    if (!isShort(id) || this.#recent.includes(id)) return;
    this.#early ??= new Map();
    this.#early.delete(id);
    this.#early.set(id, nowMs + REMEMBER_MS);
    const [oldest] = this.#early.keys();
    if (this.#early.size > MAX_EARLY && oldest !== undefined) this.#early.delete(oldest);
  }
}

function isShort(id: RequestId): boolean {
  return typeof id === 'number' || id.length <= MAX_ID_LENGTH;
}
