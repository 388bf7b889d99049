// The one GET stream of a session: what the server says unasked. Kept open, resumed where it broke.
import type { Clock } from '../lifecycle/clock.js';
import { EventCursor, readMessages } from './events.js';
import { retryAfterMs } from './failures.js';
import type { GatewayHttp, HttpAnswer } from './http.js';
import type { Notes } from './notes.js';
import { wait } from './patience.js';
import type { SessionState } from './post.js';
import type { Relay } from './relay.js';

export interface ListenerParts {
  readonly http: GatewayHttp;
  readonly relay: Relay;
  readonly clock: Clock;
  readonly notes: Notes;
  /** Asks the gateway something harmless in the session, which makes a lost one anew. @returns whether it was answered */
  readonly probe: () => Promise<boolean>;
}

const RECONNECT_MS = 1000;
/** While the gateway cannot be reached; and while it answers, but not with a stream. */
const MAX_AWAY_MS = 5000;
const MAX_REFUSED_MS = 30_000;
/** However long the gateway asks to wait: whoever says days means a mistake, and the stream is wanted. */
const MAX_ASKED_MS = 60_000;
/** What may be said about a stream by a server that has none. */
const NOT_OFFERED = new Set([405, 406, 501]);

type End =
  /** It was open; `seen` events came. */
  | { readonly kind: 'ended'; readonly seen: number }
  | { readonly kind: 'failed'; readonly isReached: boolean; readonly afterMs?: number | undefined }
  | { readonly kind: 'forgotten' | 'notOffered' | 'unknown' };

export class Listener {
  readonly #parts: ListenerParts;
  #abort: AbortController | undefined;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
  }

  /** Listens in this session instead of an earlier one: event ids belong to the session that issued them. */
  start(state: SessionState): void {
    this.stop();
    this.#abort = new AbortController();
    void this.#listen(state, this.#abort.signal);
  }

  stop(): void {
    this.#abort?.abort(new Error('no more needed'));
    this.#abort = undefined;
  }

  async #listen(state: SessionState, signal: AbortSignal): Promise<void> {
    const { clock, probe } = this.#parts;
    let cursor = new EventCursor();
    let backOffMs = RECONNECT_MS;
    while (!signal.aborted) {
      const end = await this.#read(state, cursor, signal);
      if (signal.aborted) return;
      let delayMs = cursor.retryMs ?? RECONNECT_MS;
      switch (end.kind) {
        case 'notOffered':
          return;
        case 'unknown':
          // The session is lost, or there never was a GET here. If lost, this finds out, and the new session starts a new stream.
          if (await probe()) return;
          if (signal.aborted) return;
          break;
        case 'forgotten':
          cursor = new EventCursor();
          break;
        case 'failed':
        case 'ended':
          break;
      }
      if (end.kind === 'ended' && end.seen > 0) backOffMs = RECONNECT_MS;
      else {
        delayMs = Math.max(cursor.retryMs ?? 0, backOffMs, end.kind === 'failed' ? Math.min(end.afterMs ?? 0, MAX_ASKED_MS) : 0);
        const isAway = end.kind === 'failed' && !end.isReached;
        backOffMs = Math.min(backOffMs * 2, isAway ? MAX_AWAY_MS : MAX_REFUSED_MS);
      }
      await wait(clock, delayMs, signal);
    }
  }

  async #read(state: SessionState, cursor: EventCursor, signal: AbortSignal): Promise<End> {
    const { http, relay, clock, notes } = this.#parts;
    let answer: HttpAnswer;
    const { lastEventId } = cursor;
    try {
      const headers = { ...state.headers, accept: 'text/event-stream', ...(lastEventId && { 'last-event-id': lastEventId }) };
      answer = await http.send({ method: 'GET', headers, signal });
    } catch {
      return { kind: 'failed', isReached: false };
    }
    const { status } = answer;
    if (status !== 200 || !answer.isOf('text/event-stream')) {
      answer.discard();
      if (NOT_OFFERED.has(status)) return { kind: 'notOffered' };
      if (status === 404) return { kind: 'unknown' };
      if (lastEventId && (status === 400 || status === 204)) return { kind: 'forgotten' };
      if (status === 401 || status === 403) notes.tell(`no stream of the gateway's own messages: HTTP ${status}`);
      return { kind: 'failed', isReached: true, afterMs: retryAfterMs(answer.headers['retry-after'], clock.wallMs()) };
    }
    notes.back();
    const before = cursor.seen;
    try {
      for await (const text of readMessages(answer.chunks(), cursor)) await relay.take(text, state.generation);
    } catch {
      answer.discard();
    }
    return { kind: 'ended', seen: cursor.seen - before };
  }
}
