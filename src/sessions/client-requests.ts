// What backends ask the client (sampling, elicitation, roots): the request goes out on a stream of the session under an id of ours, and
// the client's answer finds the backend from any worker, also at an owner that has never heard of the question (see
// question-id.ts).
//
// A question that no stream can carry now is held for a while: a client that has just initialized opens its stream next, and one whose
// stream was cut comes again within seconds.
import type { BackendAsk, BackendSession, CallSink } from '../backends/backend.js';
import { type Clock, MAX_TIMER_MS } from '../lifecycle/clock.js';
import {
  errorText,
  type JsonRpcErrorObject,
  type JsonRpcNotification,
  type JsonRpcResponse,
  type RequestId,
  textOf,
} from '../protocol/json-rpc.js';
import type { Keyring } from '../secrets/keyring.js';
import type { Headers } from '../streams/exchange.js';
import { markOf, openQuestionId, sealQuestionId } from './question-id.js';
import type { AnswerOutcome, QuestionOutcome } from './question-outcome.js';
import { answerText, progressTokenOfQuestion, questionText, refuseUndeclared } from './question-text.js';
import type { Session } from './session.js';
import { type HeldTexts, type Question, SessionQuestions } from './session-questions.js';

/** Questions of one session that wait for an answer; beyond them a backend is told that nobody answers. */
const MAX_PENDING = 64;
/** A longer id, or progress token, of a backend is not carried to the client and back: both are in our id. */
const MAX_ID_LENGTH = 256;
/** How long a question waits for a stream: two attempts of a client that was told to try again after 4 to 5 s, and a lease. */
const HOLD_MS = 20_000;
/** How often it looks for a call that has begun meanwhile; streams and new calls tell of themselves. */
const LOOK_MS = 250;
/** How long the client has for an answer, at least: longer than a person thinks, shorter than for ever. */
const MIN_ANSWER_MS = 10 * 60_000;

const NOBODY = { code: -32603, message: 'The client is not asked: it has no stream open that could carry the request' };
const BUSY = { code: -32603, message: 'The client is not asked: too many requests to it wait for an answer' };
const LONG_ID = {
  code: -32600,
  message: `The client is not asked: the id of the request, or its progress token, has more than ${MAX_ID_LENGTH} characters`,
};
const UNANSWERED = { code: -32603, message: 'The client did not answer' };

export interface ClientRequestsParts {
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly count: (outcome: QuestionOutcome) => void;
  /** `limits.requestTimeout`, ms: a call that may run for longer than ten minutes may wait as long for an answer. */
  readonly requestTimeoutMs?: () => number;
  /** Saves for the next owner that an answer is on its way; never rejects. */
  readonly noteAnswered?: (session: Session, mark: string) => void;
  /** Saves for the next owner what the client is asked; never rejects. */
  readonly noteAsked?: (session: Session, ours: string) => void;
}

/** What can take a question to the client. */
type Carrier = Pick<CallSink, 'message'> & { readonly isStandalone?: boolean };

export class ClientRequests {
  readonly #parts: ClientRequestsParts;
  readonly #heldTexts: HeldTexts = { bytes: 0 };

  constructor(parts: ClientRequestsParts) {
    this.#parts = parts;
  }

  /**
   * Passes a question of a backend on to the client: on the stream of the call it came with, else on the standalone one, else on that of
   * another call, else on the first of them that opens within `HOLD_MS`.
   * @returns why not, for the backend
   */
  ask(session: Session, backend: string, question: BackendAsk): JsonRpcErrorObject | undefined {
    const { clock, keyring, count } = this.#parts;
    const { id, method, json, sink, from } = question;
    const refusal = refuseUndeclared(session.facts.client.capabilities, method, json);
    if (refusal) {
      count('undeclared');
      return refusal;
    }
    session.questions ??= new SessionQuestions(this.#heldTexts);
    const { questions } = session;
    const token = progressTokenOfQuestion(json);
    const isLong = [id, token].some((one) => String(one).length > MAX_ID_LENGTH);
    const generation = session.generationOf(backend);
    const known = questions.find(backend, id, generation);
    if (known) {
      known.entry.from = from;
      // It waits for a stream, or for its answer on that of a call, which is still there to be resumed.
      if (!known.entry.isOutside) return undefined;
    } else if (isLong || questions.pending.size >= MAX_PENDING) {
      count('busy');
      return isLong ? LONG_ID : BUSY;
    }
    // The same question keeps its id: the client may have seen it after all, and one answer counts.
    const ours = known?.ours ?? sealQuestionId(keyring, session.facts.ref, { backend, id, generation, progressToken: token });
    const text = questionText(json, ours, token !== undefined);
    if (text === undefined) return { code: -32700, message: 'Parse error' };
    const entry: Question = known?.entry ?? {
      ...{ backend, id, generation, from, isTold: false, isOutside: false },
      ...{ held: undefined, timer: undefined },
    };
    const carrier = sink ?? this.#carrierOf(session);
    if (carrier) {
      questions.pending.set(ours, entry);
      this.#tell(session, ours, entry, text, carrier);
      return undefined;
    }
    // Who takes JSON alone and has never listened will not begin to while the call waits for this.
    const isHopeless = question.isUnheard === true && session.listeningHeaders === undefined;
    if (isHopeless || !questions.hold(entry, text, clock.monotonicMs() + HOLD_MS)) {
      if (known) questions.close(ours);
      count('nobody');
      return NOBODY;
    }
    entry.isOutside = false;
    questions.pending.set(ours, entry);
    count('held');
    this.#lookLater(session, ours, entry);
    return undefined;
  }

  /** A stream has opened that may carry what is held: the standalone one, or that of a call. */
  deliverHeld(session: Session): void {
    const { questions } = session;
    if (!questions?.isHolding) return;
    for (const [ours, entry] of questions.pending) {
      const carrier = entry.held && this.#carrierOf(session);
      if (entry.held && carrier) this.#tell(session, ours, entry, entry.held.text, carrier);
    }
  }

  /**
   * The backend no longer wants an answer, also where we have given up on one and the client has not.
   * @returns its notification as the client knows the request; undefined if it was not asked, or has answered
   */
  withdraw(session: Session, backend: string, id: RequestId, json: Buffer | string): string | undefined {
    const pending = session.questions?.find(backend, id);
    const ours = pending?.ours ?? this.#findAsked(session, backend, id);
    if (ours === undefined) return undefined;
    session.questions ??= new SessionQuestions(this.#heldTexts);
    session.questions.close(ours);
    session.asked?.delete(ours);
    this.#parts.count('withdrawn');
    if (pending && !pending.entry.isTold) return undefined;
    const message = JSON.parse(json.toString()) as { params: object };
    return textOf({ ...message, params: { ...message.params, requestId: ours } });
  }

  /** Nobody waits for the answer any more: the call is over, or the backend's session is. */
  forget({ questions }: Session, backend: string, id: RequestId): void {
    const pending = questions?.find(backend, id);
    if (pending) questions?.close(pending.ours);
  }

  /**
   * notifications/progress of the client. Tokens are the backends' own, who may use the same: each gets what concerns its questions, and
   * a token that is none of those goes to nobody.
   * @returns whom it is for, under the token that the backend knows; undefined: not about a question
   */
  progress(
    session: Session,
    message: JsonRpcNotification,
  ): { backend: BackendSession; message: JsonRpcNotification } | undefined {
    const { progressToken: ours } = message.params ?? {};
    const asked = typeof ours === 'string' ? openQuestionId(this.#parts.keyring, session.facts.ref, ours) : undefined;
    if (asked?.progressToken === undefined) return undefined;
    const { generation, progressToken } = asked;
    const backend = session.backends.get(asked.backend);
    if (!backend || session.generationOf(asked.backend) !== generation) return undefined;
    return { backend, message: { ...message, params: { ...message.params, progressToken } } };
  }

  /** The client's answer: to be delivered once, and only to whoever asked. */
  answer(session: Session, response: JsonRpcResponse, bytes: Buffer, headers: Headers): AnswerOutcome {
    const { count, noteAnswered } = this.#parts;
    const { id: ours } = response;
    const asked = typeof ours === 'string' ? this.#find(session, ours) : undefined;
    if (!asked || typeof ours !== 'string') {
      count('unknown');
      return { kind: 'unknown' };
    }
    session.questions ??= new SessionQuestions(this.#heldTexts);
    const mark = markOf(ours);
    if (asked === 'over' || session.questions.closed.has(ours) || session.answered?.has(mark)) {
      count('dropped');
      return { kind: 'dropped' };
    }
    const { id, from } = asked;
    // First: what is nested too deeply to be written throws, and the question is still open then.
    const json = answerText(response, bytes, id);
    session.questions.close(ours);
    session.asked?.delete(ours);
    count('answered');
    const done = from.respond(id, json, headers);
    // Beside the answer, not before it: Redis may be away, and an answer that came twice does less harm than one that never came.
    if (session.mayAct()) {
      session.noteAnswered(mark);
      noteAnswered?.(session, mark);
    }
    return { kind: 'delivered', done };
  }

  #tell(session: Session, ours: string, entry: Question, text: Buffer | string, carrier: Carrier): void {
    const { clock, count, requestTimeoutMs } = this.#parts;
    if (!entry.isTold) {
      entry.isTold = true;
      session.noteAsked(ours);
      void this.#saveAsked(session, ours);
    }
    session.questions?.letGo(entry);
    entry.timer?.cancel();
    const answerMs = Math.min(Math.max(MIN_ANSWER_MS, requestTimeoutMs?.() ?? 0), MAX_TIMER_MS);
    entry.timer = clock.after(answerMs, () => this.#look(session, ours, entry));
    count('asked');
    entry.isOutside = carrier.isStandalone === true;
    carrier.message(text, false);
  }

  /** A question may come while the session is being claimed back. What Redis loses of it is saved with the rest of the record. */
  async #saveAsked(session: Session, ours: string): Promise<void> {
    if (!session.mayAct()) await session.settled();
    if (session.mayAct()) this.#parts.noteAsked?.(session, ours);
  }

  /**
   * For what came with no call that could carry it. Of a call only one whose caller is still there, and that has begun: its answer cannot
   * go back to routing any more.
   */
  #carrierOf(session: Session): Carrier | undefined {
    const { streams, standalone, calls } = session;
    if (standalone) {
      return {
        isStandalone: true,
        message: (text) => {
          streams.tell(text, this.#parts.clock.monotonicMs());
          return true;
        },
      };
    }
    const call = calls.find(
      ({ answer, running, exchange }) =>
        answer.carriesRequests === true && running?.mayHaveRun === true && exchange?.aborted !== true,
    );
    return call?.answer;
  }

  #lookLater(session: Session, ours: string, entry: Question): void {
    entry.timer?.cancel();
    entry.timer = this.#parts.clock.after(LOOK_MS, () => this.#look(session, ours, entry));
  }

  /** Carries it now, goes on waiting, or gives up and tells the backend so. */
  #look(session: Session, ours: string, entry: Question): void {
    // What the guard would refuse to tell the backend has to wait; a session that is not ours any more has ended its questions.
    if (!session.mayAct()) {
      this.#lookLater(session, ours, entry);
      return;
    }
    const { held } = entry;
    if (held) {
      this.deliverHeld(session);
      if (!entry.held) return;
      if (this.#parts.clock.monotonicMs() < held.untilMs) {
        this.#lookLater(session, ours, entry);
        return;
      }
    }
    session.questions?.close(ours);
    this.#parts.count(held ? 'nobody' : 'unanswered');
    const { id, from } = entry;
    // In flight like a request: a session that is released meanwhile would lose it.
    session.inFlight++;
    void from
      .respond(id, errorText(id, held ? NOBODY : UNANSWERED), from.openedWith ?? session.listeningHeaders ?? {})
      .finally(() => session.leave());
  }

  /** Asked in this session of the backend, by us or by an owner before us, and neither answered nor taken back as far as we know. */
  #findAsked(session: Session, backend: string, id: RequestId): string | undefined {
    const asked = { backend, id, generation: session.generationOf(backend) };
    return session.asked?.find(asked, (ours) => openQuestionId(this.#parts.keyring, session.facts.ref, ours));
  }

  /** Asked by us, or by an owner before us; `over`: what asked it is gone. Undefined: this session was never asked that. */
  #find(session: Session, ours: string): Pick<Question, 'id' | 'from'> | 'over' | undefined {
    const pending = session.questions?.pending.get(ours);
    // Closed by a reload that changed settings alone, its backend session goes on in another object.
    if (pending?.from.isOpen) return pending;
    const asked = openQuestionId(this.#parts.keyring, session.facts.ref, ours);
    if (!asked) return undefined;
    const { backend, id, generation } = asked;
    const from = session.backends.get(backend);
    // The backend's session of that time is gone, and with it what waits.
    return from && session.generationOf(backend) === generation ? { id, from } : 'over';
  }
}
