// One call to a backend and its answer. The hot path: the object is undici's handler, the waiter, the deadline and the caller's
// handle in one (see call-life.ts), and a JSON answer passes through unparsed.
import { GatewayError } from '../../errors/gateway-error.js';
import { isBatch, takeEach } from '../../protocol/batch.js';
import { isObject, progressTokenIn } from '../../protocol/json-rpc.js';
import { isJson, scanMessage } from '../../protocol/scan-json.js';
import { SseEventTooLarge } from '../../protocol/sse.js';
import type { ResumePoint } from '../backend.js';
import { CallLife } from './call-life.js';
import { MAX_REPLY_BYTES } from './control-request.js';
import { EventReader } from './event-reader.js';
import { streamHeaders } from './headers.js';
import { judgeAnswer } from './judge-answer.js';
import type { OpenState } from './open-state.js';
import type { PausedCall } from './paused-calls.js';
import type { ReplyHeaders } from './reply-headers.js';
import { outcomeUnknown, reasonOf, transportError, unavailable } from './transport-error.js';

/** How long the rest of an answer may take whose caller needs no more of it. */
const LINGER_MS = 5000;
/** Wait before a broken stream is resumed, if the backend named none. */
const RESUME_DELAY_MS = 1000;
const MIN_RESUME_DELAY_MS = 50;
/** Resumptions without any news before the outcome is called unknown. */
const MAX_RESUMES = 3;
/** A backend that has not noticed the death of who read the stream before answers 409: tried again for about 20 s. */
const MAX_CONFLICTS = 8;
const CONFLICT_DELAY_MS = 250;
const MAX_CONFLICT_DELAY_MS = 4000;

const PROGRESS = 'notifications/progress';
const LIST_CHANGED = '/list_changed';

/**
 * `relay`: a JSON body that passes unparsed; `array`: one that holds several messages; `gather`: an answer that is no plain success;
 * `conflict`: a resumption that comes too early.
 */
type Mode = 'relay' | 'array' | 'events' | 'gather' | 'skip' | 'conflict';

/** An array of messages is kept whole until its end. */
const MAX_ARRAY_BYTES = 16 * 1024 * 1024;

export class HttpCall extends CallLife implements PausedCall {
  #mode: Mode = 'skip';
  #status = 0;
  #length: number | undefined;
  #bytes = 0;
  #paused = false;
  #reader: EventReader | undefined;
  #chunks: Buffer[] | undefined;
  #resumes = 0;
  #resumedFrom: string | undefined;
  #isResuming = false;
  /** What is read is not the answer of the call's own POST any more. */
  #isResumed = false;
  #conflicts = 0;
  /** The id of the backend that the sink has heard of last. */
  #marked: string | undefined;

  protected resumeFrom({ eventId, generation }: ResumePoint, state: OpenState): void {
    const { transport } = this.session;
    if (state.generation !== generation) {
      this.fail(outcomeUnknown(transport.name, 'session_lost'));
      return;
    }
    this.#reader = new EventReader();
    this.#reader.lastEventId = eventId;
    this.#marked = eventId;
    this.#resumedFrom = eventId;
    this.#isResuming = true;
    this.#resumeStream(eventId);
  }

  protected skipRest(): void {
    this.#mode = 'skip';
    // To end a GET cancels nothing, and to keep it would keep others from going on with the stream.
    if (this.#isResumed || this.call.resume) {
      this.session.transport.deadlines.delete(this);
      this.abort(new Error('given up'));
      return;
    }
    if (this.#unpause()) this.resumeReading();
  }

  protected override finish(): void {
    this.session.transport.paused.delete(this);
    super.finish();
  }

  /** See PausedCall. */
  letGo(): void {
    this.call.sink.letGo?.();
  }

  protected onHead(status: number, headers: ReplyHeaders): void {
    if (status === 401 && this.credential !== undefined) this.session.transport.credentials.refuse(this.credential);
    if (this.done) return;
    this.#status = status;
    const { health } = this.session.host;
    if (health?.isInDoubt) health.answered(this.sentAtMs);
    const type = String(headers.get('content-type') ?? '').toLowerCase();
    if (status === 200 && type.startsWith('text/event-stream')) {
      this.#mode = 'events';
      const before = this.#reader;
      this.#reader = new EventReader();
      // Both hold until the stream names others.
      this.#reader.lastEventId = before?.lastEventId;
      this.#reader.retryMs = before?.retryMs;
      this.#isResuming = false;
      this.#conflicts = 0;
    } else if (this.#isResuming && status === 409 && this.#conflicts < MAX_CONFLICTS) {
      this.#mode = 'conflict';
    } else if (this.#isResuming) {
      this.fail(outcomeUnknown(this.session.transport.name, 'stream_ended'));
      this.abort(new Error('the stream cannot be resumed'));
    } else if (status === 200 && type.startsWith('application/json')) {
      this.#mode = 'relay';
      const length = this.isDecoded ? undefined : headers.get('content-length');
      this.#length = typeof length === 'string' ? Number(length) : undefined;
    } else {
      this.#mode = 'gather';
      this.#chunks = [];
    }
  }

  protected onChunk(chunk: Buffer): void {
    const { sink } = this.call;
    switch (this.#mode) {
      case 'relay':
        // Not before the first byte: an empty body is no answer, and must not become an empty 200.
        if (this.#bytes === 0) {
          if (isBatch(chunk)) {
            this.#mode = 'array';
            this.#chunks = [];
            this.#gatherArray(chunk);
            return;
          }
          sink.bodyStart(this.#length);
        }
        this.#bytes += chunk.length;
        if (!sink.bodyChunk(chunk)) this.#pauseReading();
        return;
      case 'array':
        this.#gatherArray(chunk);
        return;
      case 'events':
        this.#reader?.push(chunk);
        this.#pump();
        return;
      case 'gather':
        this.#bytes += chunk.length;
        if (this.#bytes <= MAX_REPLY_BYTES) this.#chunks?.push(chunk);
        return;
      case 'skip':
      case 'conflict':
        return;
    }
  }

  #gatherArray(chunk: Buffer): void {
    this.#bytes += chunk.length;
    this.#chunks?.push(chunk);
    if (this.#bytes <= MAX_ARRAY_BYTES) return;
    this.#chunks = undefined;
    this.fail(outcomeUnknown(this.session.transport.name, 'too_large'));
    this.abort(new Error('the answer is too large'));
  }

  /** Hands on messages until there are no more or the caller reads slowly. */
  #pump(): void {
    try {
      while (!this.#paused && this.#mode === 'events') {
        const json = this.#reader?.next();
        if (json === undefined) {
          this.#markAlone();
          return;
        }
        this.#take(json);
      }
    } catch (error) {
      if (!(error instanceof SseEventTooLarge)) throw error;
      this.fail(outcomeUnknown(this.session.transport.name, 'event_too_large', error));
      this.abort(error);
    }
  }

  /** The event of an id may have no message: a priming event, one of another type. */
  #markAlone(): void {
    const lastEventId = this.#reader?.lastEventId;
    if (lastEventId === this.#marked || this.done) return;
    this.#marked = lastEventId;
    this.call.sink.mark?.(lastEventId, true);
  }

  /** @param isLast nothing more of the same event follows */
  #take(json: Buffer, isLast = true): void {
    const message = scanMessage(json);
    const { sink } = this.call;
    if (message.kind === 'notification' || message.kind === 'request') this.#mark(isLast);
    switch (message.kind) {
      case 'notification':
        // What concerns others as well is theirs before this caller hears of it: whoever is told of a new list gets a new list.
        if (message.method.endsWith(LIST_CHANGED)) this.session.host.onNotification(json);
        else if (message.method === PROGRESS && !this.call.resume && !this.#isMine(json)) {
          this.session.host.onNotification(json);
          return;
        }
        if (!sink.message(this.session.translate(json), false)) this.#pauseReading();
        return;
      case 'request':
        if (this.state) this.session.asked(this.state, { ...message, json }, this.call.headers, this);
        return;
      case 'response':
        // Another call's response, or one of another type of id, is not ours to give.
        if (message.id !== this.call.message.id) return;
        this.finish();
        this.#mode = 'skip';
        // It stays among the deadlines: a stream that never ends behind its response would keep the connection.
        this.deadlineMs = Math.min(this.deadlineMs, this.session.transport.clock.monotonicMs() + LINGER_MS);
        sink.message(json, true);
        return;
      case 'invalid':
        // A server of 2025-03-26 may send several at once.
        if (isBatch(json))
          takeEach(json, (one, isLast) => {
            if (!this.done) this.#take(one, isLast);
          });
        return;
    }
  }

  /**
   * Whoever goes on behind the id of an event gets nothing more of it: where it holds several messages, only the last one carries it, and
   * the others what was before. They come twice rather than never.
   */
  #mark(isLast: boolean): void {
    const eventId = this.#reader?.eventId;
    if (!isLast && eventId !== undefined) return;
    this.#marked = this.#reader?.lastEventId;
    this.call.sink.mark?.(eventId);
  }

  /** Whether progress is told under the token of this call. Some servers answer to a number with its digits: nobody else is meant. */
  #isMine(json: Buffer): boolean {
    const { params } = this.call.message;
    const given = isObject(params?._meta) ? params._meta.progressToken : undefined;
    if (given === undefined) return false;
    const told = progressTokenIn(json);
    return told !== undefined && String(told) === String(given);
  }

  #pauseReading(): void {
    if (this.#paused || this.done) return;
    this.#paused = true;
    this.pause();
    this.session.transport.paused.add(this);
    this.call.sink.resume = () => {
      if (!this.#unpause()) return;
      this.#pump();
      if (!this.#paused) this.resumeReading();
    };
  }

  /** @returns whether it was paused */
  #unpause(): boolean {
    if (!this.#paused) return false;
    this.#paused = false;
    this.session.transport.paused.delete(this);
    return true;
  }

  protected onEnd(): void {
    const { sink } = this.call;
    const { transport } = this.session;
    const mode = this.#mode;
    if (mode === 'conflict' && !this.done) {
      const delayMs = Math.min(CONFLICT_DELAY_MS * 2 ** this.#conflicts++, MAX_CONFLICT_DELAY_MS);
      this.#resumeLater(this.#resumedFrom as string, delayMs);
      return;
    }
    if (mode === 'events' && !this.done) {
      this.#streamEnded('stream_ended');
      return;
    }
    transport.deadlines.delete(this);
    if (this.done) return;
    if (mode === 'gather') {
      this.#judge();
      return;
    }
    if (mode === 'array') {
      this.#take(Buffer.concat(this.#chunks ?? []));
      if (!this.done) this.fail(unavailable(transport.name, 'bad_reply', { status: this.#status, executed: 'unknown' }));
      return;
    }
    if (this.#bytes === 0) {
      this.fail(unavailable(transport.name, 'no_answer', { status: this.#status, executed: 'unknown' }));
      return;
    }
    this.finish();
    sink.bodyEnd();
  }

  protected onFailure(error: unknown): void {
    const { transport } = this.session;
    if (this.done) {
      transport.deadlines.delete(this);
      return;
    }
    if (this.#isResuming) {
      // What an earlier owner began can go on at the next one, if it is no longer ours to go on with.
      const isOthers = this.call.resume && error instanceof GatewayError && error.code === 'NOT_OWNER';
      this.fail(isOthers ? error : outcomeUnknown(transport.name, 'stream_ended', error));
      return;
    }
    if (this.#mode === 'events') {
      this.#streamEnded(reasonOf(error), error);
      return;
    }
    const failure = transportError(transport.name, error, this.sent);
    if (!this.sent) this.session.host.health?.unreached(failure);
    this.fail(failure);
  }

  /** An answer that is no plain success: the session is lost, an error for the caller, or nothing that he could use. */
  #judge(): void {
    const { transport } = this.session;
    const state = this.state as OpenState;
    const text = this.#bytes <= MAX_REPLY_BYTES ? Buffer.concat(this.#chunks ?? []).toString('utf8') : '';
    const verdict = judgeAnswer(transport, state.id !== undefined, this.#status, text, this.call.message.id);
    switch (verdict.kind) {
      case 'lost':
        this.#lost(state, `http_${this.#status}`);
        return;
      case 'answer':
        this.finish();
        this.call.sink.message(verdict.text, true);
        return;
      case 'failed':
        this.fail(verdict.error);
        return;
    }
  }

  #lost(state: OpenState, answer: string): void {
    const { transport } = this.session;
    // What prepares a session is worth nothing in another one, which is prepared itself.
    if (this.lostBy !== undefined || this.isPreparation) {
      this.fail(unavailable(transport.name, 'session_lost', { answer, repeated: this.lostBy !== undefined }));
      return;
    }
    this.lostBy = answer;
    this.reset();
    this.begun = false;
    this.credential = undefined;
    this.#mode = 'skip';
    this.#bytes = 0;
    this.#chunks = undefined;
    transport.deadlines.add(this);
    this.session.recover(this, state.generation, this.sentAtMs, this.call.headers);
  }

  /** The stream ended without the response: a server that gave event ids may go on in another one. */
  #streamEnded(reason: string, error?: unknown): void {
    const { transport } = this.session;
    const rest = this.#reader?.finish();
    if (rest && isJson(rest)) this.#take(rest);
    if (this.done) {
      transport.deadlines.delete(this);
      return;
    }
    const lastEventId = this.#reader?.lastEventId;
    if (lastEventId !== this.#resumedFrom) this.#resumes = 0;
    if (!lastEventId || this.#resumes >= MAX_RESUMES) {
      this.fail(outcomeUnknown(transport.name, reason, error));
      return;
    }
    this.#resumes++;
    this.#resumedFrom = lastEventId;
    this.#isResuming = true;
    const retryMs = this.#reader?.retryMs;
    this.call.sink.delayed?.(error === undefined ? retryMs : undefined);
    this.#resumeLater(lastEventId, Math.max(MIN_RESUME_DELAY_MS, retryMs ?? RESUME_DELAY_MS));
  }

  #resumeLater(lastEventId: string, delayMs: number): void {
    this.#mode = 'skip';
    this.reset();
    this.session.transport.clock.after(delayMs, () => this.#resumeStream(lastEventId));
  }

  #resumeStream(lastEventId: string): void {
    const { transport } = this.session;
    const state = this.state;
    if (this.done || !state) {
      transport.deadlines.delete(this);
      return;
    }
    this.#isResumed = true;
    this.credential = transport.credentials.current() ?? this.credential;
    const session = { id: state.id, protocolVersion: state.info.protocolVersion, credential: this.credential };
    const headers = streamHeaders(session, transport.plan.withForwarded(this.call.headers), lastEventId);
    if (!transport.dispatchCall({ method: 'GET', path: transport.path, headers }, this)) {
      this.fail(outcomeUnknown(transport.name, 'busy'));
    }
  }
}
