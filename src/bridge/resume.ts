// Goes on with the stream of an answer that broke, or that the gateway closed meaning to be asked again: GET with Last-Event-ID.
import type { Call } from './call.js';
import { type EventCursor, readMessages } from './events.js';
import { retryAfterMs } from './failures.js';
import { type HttpAnswer, SendFailed } from './http.js';
import { Patience, wait } from './patience.js';
import type { PostParts, SessionState } from './post.js';

/** Wait before a resumption where the stream named none. */
const DEFAULT_RETRY_MS = 1000;
/** Streams in a row that open and bring no event at all. */
const MAX_EMPTY = 3;

/** @returns whether the call got its answer; never rejects */
export async function resumeStream(parts: PostParts, call: Call, state: SessionState, cursor: EventCursor): Promise<boolean> {
  let patience = new Patience(parts.clock, parts.patienceMs);
  let empty = 0;
  let delayMs: number | undefined = cursor.retryMs ?? DEFAULT_RETRY_MS;
  while (delayMs !== undefined && empty < MAX_EMPTY && cursor.lastEventId !== undefined) {
    await wait(parts.clock, delayMs, call.signal);
    if (call.signal.aborted) return false;
    const seen = cursor.seen;
    const end = await readOn(parts, call, state, cursor);
    if (call.isAnswered) return true;
    if (end.kind === 'refused') return false;
    if (end.kind === 'away') {
      delayMs = patience.nextDelay(end.afterMs);
      continue;
    }
    // The gateway lives: a long call may be polled like that for as long as it runs.
    patience = new Patience(parts.clock, parts.patienceMs);
    empty = cursor.seen === seen ? empty + 1 : 0;
    delayMs = cursor.retryMs ?? DEFAULT_RETRY_MS;
  }
  return false;
}

type End = { readonly kind: 'ended' | 'refused' } | { readonly kind: 'away'; readonly afterMs?: number | undefined };

async function readOn({ http, relay, clock }: PostParts, call: Call, state: SessionState, cursor: EventCursor): Promise<End> {
  let answer: HttpAnswer;
  try {
    const headers = { ...state.headers, accept: 'text/event-stream', 'last-event-id': cursor.lastEventId as string };
    answer = await http.send({ method: 'GET', headers, signal: call.signal });
  } catch (error) {
    return { kind: error instanceof SendFailed && error.isLasting ? 'refused' : 'away' };
  }
  const { status } = answer;
  if (status !== 200 || !answer.isOf('text/event-stream')) {
    answer.discard();
    const isAway = status === 429 || (status > 501 && status < 505);
    return isAway ? { kind: 'away', afterMs: retryAfterMs(answer.headers['retry-after'], clock.wallMs()) } : { kind: 'refused' };
  }
  try {
    for await (const text of readMessages(answer.chunks(), cursor)) {
      await relay.take(text, state.generation, call);
      // Nothing else belongs on it: to leave the loop ends the connection.
      if (call.isAnswered) break;
    }
  } catch {
    answer.discard();
  }
  return { kind: 'ended' };
}
