// What the messages of an answer are and who gets them: its caller, at the pace at which he reads; who else is concerned; or, where the
// backend asks something, the client. See http-call.ts for what carries them.
import { isBatch, takeEach } from '../../protocol/batch.js';
import { progressTokenOf, type RequestId } from '../../protocol/json-rpc.js';
import { PROGRESS } from '../../protocol/mcp.js';
import { scanMessage, textOrBytes } from '../../protocol/scan-json.js';
import { SseEventTooLarge } from '../../protocol/sse.js';
import { CallLife } from './call-life.js';
import type { EventReader } from './event-reader.js';
import type { PausedCall } from './paused-calls.js';
import { outcomeUnknown } from './transport-error.js';

/** How long the rest of an answer may take whose caller needs no more of it. */
const LINGER_MS = 5000;
const LIST_CHANGED = '/list_changed';

export abstract class CallMessages extends CallLife implements PausedCall {
  /** Of an answer that is a stream. */
  protected reader: EventReader | undefined;
  /** The id of the backend that the sink has heard of last. */
  protected marked: string | undefined;
  #paused = false;

  /** The answer is a stream, and what it brings is still of use. */
  protected abstract readonly isStream: boolean;

  /** The response has come: what follows it is read into nothing. */
  protected abstract responded(): void;

  protected override finish(): void {
    this.session.transport.paused.delete(this);
    super.finish();
  }

  /** See PausedCall. */
  letGo(): void {
    this.call.sink.letGo?.();
  }

  /** Hands on messages until there are no more or the caller reads slowly. */
  protected pump(): void {
    try {
      while (!this.#paused && this.isStream) {
        const json = this.reader?.next();
        if (json === undefined) {
          this.#markAlone();
          return;
        }
        this.take(json);
      }
    } catch (error) {
      if (!(error instanceof SseEventTooLarge)) throw error;
      this.fail(outcomeUnknown(this.session.transport.name, 'event_too_large', error));
      this.abort(error);
    }
  }

  /** The event of an id may have no message: a priming event, one of another type. */
  #markAlone(): void {
    const lastEventId = this.reader?.lastEventId;
    if (lastEventId === this.marked || this.done) return;
    this.marked = lastEventId;
    this.call.sink.mark?.(lastEventId, true);
  }

  /** @param isLast nothing more of the same event follows */
  protected take(json: Buffer, isLast = true): void {
    const text = textOrBytes(json);
    const message = scanMessage(text);
    const { sink } = this.call;
    if (message.kind === 'notification' || message.kind === 'request') this.#mark(isLast);
    switch (message.kind) {
      case 'notification': {
        // What concerns others as well is theirs before this caller hears of it: whoever is told of a new list gets a new list.
        if (message.method.endsWith(LIST_CHANGED)) this.session.host.onNotification(json);
        else if (message.method === PROGRESS && !this.call.resume && !this.#isMine(message.progressToken)) {
          this.session.host.onNotification(json);
          return;
        }
        const told = this.session.translate(message.method, json);
        if (told === undefined) return;
        if (!sink.message(told === json ? text : told, false)) this.pauseReading();
        return;
      }
      case 'request':
        if (this.state) this.session.asked(this.state, { ...message, json }, this.call.headers, this);
        return;
      case 'response':
        // Another call's response, or one of another type of id, is not ours to give.
        if (message.id !== this.call.message.id) return;
        this.finish();
        this.responded();
        // It stays among the deadlines: a stream that never ends behind its response would keep the connection.
        this.deadlineMs = Math.min(this.deadlineMs, this.session.transport.clock.monotonicMs() + LINGER_MS);
        sink.message(text, true);
        return;
      case 'invalid':
        // A server of 2025-03-26 may send several at once.
        if (isBatch(json))
          takeEach(json, (one, isLast) => {
            if (!this.done) this.take(one, isLast);
          });
        return;
    }
  }

  /**
   * Whoever goes on behind the id of an event gets nothing more of it: where it holds several messages, only the last one carries it, and
   * the others what was before. They come twice rather than never.
   */
  #mark(isLast: boolean): void {
    const eventId = this.reader?.eventId;
    if (!isLast && eventId !== undefined) return;
    this.marked = this.reader?.lastEventId;
    this.call.sink.mark?.(eventId);
  }

  /** Whether progress is told under the token of this call. Some servers answer to a number with its digits: nobody else is meant. */
  #isMine(told: RequestId | undefined): boolean {
    const given = progressTokenOf(this.call.message.params);
    return given !== undefined && told !== undefined && String(told) === String(given);
  }

  protected pauseReading(): void {
    if (this.#paused || this.done) return;
    this.#paused = true;
    this.pause();
    this.session.transport.paused.add(this);
    this.call.sink.resume = () => {
      if (!this.unpause()) return;
      this.pump();
      if (!this.#paused) this.resumeReading();
    };
  }

  /** @returns whether it was paused */
  protected unpause(): boolean {
    if (!this.#paused) return false;
    this.#paused = false;
    this.session.transport.paused.delete(this);
    return true;
  }
}
