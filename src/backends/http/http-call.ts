// One call to a backend and its answer. The hot path: the object is undici's handler, the waiter, the deadline and the caller's
// handle in one (see call-life.ts), and a JSON answer passes through unparsed.
import { GatewayError } from '../../errors/gateway-error.js';
import { isBatch } from '../../protocol/batch.js';
import { isJson } from '../../protocol/scan-json.js';
import type { ResumePoint } from '../backend.js';
import { CallMessages } from './call-messages.js';
import { CallResumption } from './call-resumption.js';
import { MAX_REPLY_BYTES } from './control-request.js';
import { EventReader } from './event-reader.js';
import { streamHeaders } from './headers.js';
import { judgeAnswer } from './judge-answer.js';
import type { OpenState } from './open-state.js';
import type { ReplyHeaders } from './reply-headers.js';
import { outcomeUnknown, reasonOf, transportError, unavailable } from './transport-error.js';

/**
 * `relay`: a JSON body that passes unparsed; `array`: one that holds several messages; `gather`: an answer that is no plain success;
 * `conflict`: a resumption that comes too early.
 */
type Mode = 'relay' | 'array' | 'events' | 'gather' | 'skip' | 'conflict';

/** An array of messages is kept whole until its end. */
const MAX_ARRAY_BYTES = 16 * 1024 * 1024;

export class HttpCall extends CallMessages {
  #mode: Mode = 'skip';
  #status = 0;
  #length: number | undefined;
  #bytes = 0;
  #chunks: Buffer[] | undefined;
  #resumption: CallResumption | undefined;

  protected resumeFrom({ eventId, generation }: ResumePoint, state: OpenState): void {
    const { transport } = this.session;
    if (state.generation !== generation) {
      this.fail(outcomeUnknown(transport.name, 'session_lost'));
      return;
    }
    this.reader = new EventReader();
    this.reader.lastEventId = eventId;
    this.marked = eventId;
    this.#resumption = new CallResumption(eventId);
    this.#resumeStream(this.#resumption);
  }

  protected get isStream(): boolean {
    return this.#mode === 'events';
  }

  protected responded(): void {
    this.#mode = 'skip';
  }

  protected skipRest(): void {
    this.#mode = 'skip';
    // To end a GET cancels nothing, and to keep it would keep others from going on with the stream.
    if (this.#resumption?.isAsked || this.call.resume) {
      this.session.transport.deadlines.delete(this);
      this.abort(new Error('given up'));
      return;
    }
    if (this.unpause()) this.resumeReading();
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
      const before = this.reader;
      this.reader = new EventReader();
      // Both hold until the stream names others.
      this.reader.lastEventId = before?.lastEventId;
      this.reader.retryMs = before?.retryMs;
      this.#resumption?.opened();
    } else if (this.#resumption?.isWaiting && status === 409 && this.#resumption.mayConflict) {
      this.#mode = 'conflict';
    } else if (this.#resumption?.isWaiting) {
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
        if (!sink.bodyChunk(chunk)) this.pauseReading();
        return;
      case 'array':
        this.#gatherArray(chunk);
        return;
      case 'events':
        this.reader?.push(chunk);
        this.pump();
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

  protected onEnd(): void {
    const { sink } = this.call;
    const { transport } = this.session;
    const mode = this.#mode;
    if (mode === 'conflict' && !this.done && this.#resumption) {
      this.#resumeLater(this.#resumption, this.#resumption.conflicted());
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
      this.take(Buffer.concat(this.#chunks ?? []));
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
    if (this.#resumption?.isWaiting) {
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
    const rest = this.reader?.finish();
    if (rest && isJson(rest)) this.take(rest);
    if (this.done) {
      transport.deadlines.delete(this);
      return;
    }
    this.#resumption ??= new CallResumption();
    const retryMs = this.reader?.retryMs;
    const delayMs = this.#resumption.next(this.reader?.lastEventId, retryMs);
    if (delayMs === undefined) {
      this.fail(outcomeUnknown(transport.name, reason, error));
      return;
    }
    this.call.sink.delayed?.(error === undefined ? retryMs : undefined);
    this.#resumeLater(this.#resumption, delayMs);
  }

  #resumeLater(resumption: CallResumption, delayMs: number): void {
    this.#mode = 'skip';
    this.reset();
    this.session.transport.clock.after(delayMs, () => this.#resumeStream(resumption));
  }

  #resumeStream(resumption: CallResumption): void {
    const { transport } = this.session;
    const state = this.state;
    if (this.done || !state) {
      transport.deadlines.delete(this);
      return;
    }
    resumption.isAsked = true;
    this.credential = transport.credentials.current() ?? this.credential;
    const session = { id: state.id, protocolVersion: state.info.protocolVersion, credential: this.credential };
    const headers = streamHeaders(session, transport.plan.withForwarded(this.call.headers), resumption.from);
    if (!transport.dispatchCall({ method: 'GET', path: transport.path, headers }, this)) {
      this.fail(outcomeUnknown(transport.name, 'busy'));
    }
  }
}
