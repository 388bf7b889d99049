// The rest of a call that an earlier owner began and did not live to answer: where its backend gave event ids, the backend still has it.
// The call itself is never sent again. What comes takes the way of every call's answer.
import type { BackendCall, BackendSession, RunningCall } from '../backends/backend.js';
import { type CallStreamOpener, LegacyCallAnswer } from '../eras/legacy/call-answer.js';
import { GatewayError } from '../errors/gateway-error.js';
import type { Clock } from '../lifecycle/clock.js';
import type { RequestId } from '../protocol/json-rpc.js';
import { encodeMark } from '../streams/backend-marks.js';
import { type EventId, marksOf } from '../streams/event-id.js';
import type { Exchange } from '../streams/exchange.js';
import type { ResumableStream } from '../streams/resumable-stream.js';
import type { CallInFlight, Session } from './session.js';

/** Of one session at a time: each is a stream of its own at the backend, and the ids that ask for them can be made up. */
const MAX_RESTS = 32;

export interface CallResumerParts {
  readonly clock: Clock;
  /** `limits.requestTimeout`, ms: from now on, as nobody knows how long the call has taken already. */
  readonly maxCallMs: () => number;
  readonly onBackendError: (backend: string, error: GatewayError) => void;
}

export class CallResumer {
  readonly #parts: CallResumerParts;

  constructor(parts: CallResumerParts) {
    this.#parts = parts;
  }

  /**
   * Begins to read the rest of it at the backend.
   * @param last what the client has got; it may be made up, and reaches only what is the session's own
   * @returns the stream that carries it; undefined where the backend cannot be asked
   */
  resume(session: Session, exchange: Exchange, last: EventId, id: RequestId): ResumableStream | undefined {
    const [mark] = marksOf(last).values();
    if (!mark || mark.eventId === '') return undefined;
    const { backend: name, eventId } = mark;
    const backend = session.backends.get(name);
    const generation = backend?.record?.generation;
    if (!backend?.resumesStreams || generation === undefined || session.generationOf(name) !== mark.generation) return undefined;
    if (!makeRoom(session, id)) return undefined;

    const { clock, maxCallMs, onBackendError } = this.#parts;
    const stream = session.streams.openCall(id, encodeMark(name, mark.generation, eventId), () => rest.giveUp());
    const rest = new Rest(session, exchange, { id, backend: name }, stream, (outcome, error) => {
      exchange.note.outcome = outcome;
      if (error) onBackendError(name, error);
    });
    exchange.note.backend = name;
    rest.begin(backend, {
      message: { jsonrpc: '2.0', id, method: '' },
      bytes: '',
      headers: exchange.headers,
      deadlineMs: Math.min(exchange.deadlineMs, clock.monotonicMs() + maxCallMs()),
      resume: { eventId, generation },
    });
    rest.cancelIfEarly(clock);
    return stream;
  }
}

/**
 * Another reading of the same rest ends here.
 * @returns false: there are too many, or the id is that of a call that began here, whether or not it has begun or has a stream by now
 */
function makeRoom({ streams, calls, requestsHere }: Session, id: RequestId): boolean {
  if (streams.hasOwnCall(id)) return false;
  for (const request of requestsHere ?? []) if (request.id === id) return false;
  const sameId: CallInFlight[] = [];
  let rests = 0;
  calls.forEach((call) => {
    if (call.giveUp) rests++;
    if (call.id === id) sameId.push(call);
  });
  if (sameId.some(({ giveUp }) => !giveUp)) return false;
  for (const { giveUp } of sameId) giveUp?.();
  return rests - sameId.length < MAX_RESTS;
}

/** In flight like the call that it is the rest of: it keeps the session from being released, and can be cancelled. */
class Rest implements CallInFlight, RunningCall {
  readonly id: RequestId;
  readonly backend: string;
  readonly mayHaveRun = true;
  readonly progressToken = undefined;
  readonly giveUp = () => {
    if (!this.#isOver) this.cancel('', false);
  };
  readonly answer: RestAnswer;
  readonly #session: Session;
  readonly #stream: ResumableStream;
  #running: RunningCall | undefined;
  #isOver = false;

  constructor(
    session: Session,
    exchange: Exchange,
    { id, backend }: Pick<CallInFlight, 'id' | 'backend'>,
    stream: ResumableStream,
    onEnd: (outcome: string, error: GatewayError | undefined) => void,
  ) {
    this.id = id;
    this.backend = backend;
    this.#session = session;
    this.#stream = stream;
    const opener: CallStreamOpener = {
      isPrimed: session.isPrimed,
      open: () => stream,
      marksFor: (eventId) => (eventId ? encodeMark(backend, session.generationOf(backend), eventId) : ''),
    };
    this.answer = new RestAnswer(
      exchange,
      id,
      opener,
      session,
      () => this.#leaveToNextOwner(),
      (outcome, error) => {
        this.#over();
        onEnd(outcome, error);
      },
    );
  }

  get running(): RunningCall {
    return this;
  }

  begin(backend: BackendSession, call: Omit<BackendCall, 'sink'> & Required<Pick<BackendCall, 'resume'>>): void {
    this.#session.inFlight++;
    this.#session.calls.add(this);
    this.answer.mark(call.resume.eventId, true);
    const running = backend.call({ ...call, sink: this.answer });
    if (!this.#isOver) this.#running = running;
  }

  /** Where it was cancelled before anybody came for it: the backend is still at it, and hears so now. */
  cancelIfEarly(clock: Pick<Clock, 'monotonicMs'>): void {
    if (this.#isOver || !this.#session.cancellations.arrived(this.id, clock)) return;
    if (this.answer.cancel()) this.cancel('cancelled by the client', true);
  }

  /** Its stream ends without an answer: nobody wants one. Where the client cancels, its answer is over before the backend is told. */
  cancel(reason: string, notify: boolean, headers?: Parameters<RunningCall['cancel']>[2]): void {
    this.#running?.cancel(reason, notify, headers);
    const { state } = this.#session;
    // A session that closes tells it why, and ends it by that.
    if (this.#isOver || state === 'released' || state === 'ended') return;
    this.#stream.end();
    this.#stream.forget();
    this.#over();
  }

  /** Nothing was asked here, and nothing is lost: whoever reads it goes on where the session is now. */
  #leaveToNextOwner(): void {
    if (this.#isOver) return;
    this.#session.cancellations.left(this.id);
    this.#stream.move();
    this.#stream.forget();
    this.#over();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#session.calls.delete(this);
    this.#session.leave();
  }
}

class RestAnswer extends LegacyCallAnswer {
  readonly #session: Session;
  readonly #onNotOwner: () => void;

  constructor(
    exchange: Exchange,
    id: RequestId,
    opener: CallStreamOpener,
    session: Session,
    onNotOwner: () => void,
    onEnd: (outcome: string, error: GatewayError | undefined) => void,
  ) {
    super(exchange, { json: false, events: true }, {}, id, opener, onEnd);
    this.#session = session;
    this.#onNotOwner = onNotOwner;
  }

  override fail(error: GatewayError): void {
    if (error.code === 'NOT_OWNER' || this.#session.state === 'released') this.#onNotOwner();
    // The call has begun long ago: that its rest was not asked for says nothing of it.
    else super.fail(error.code === 'BACKEND_UNAVAILABLE' ? unknown(error) : error);
  }
}

function unknown({ details, cause }: GatewayError): GatewayError {
  return new GatewayError('OUTCOME_UNKNOWN', {
    message: 'the answer was lost',
    details: { ...details, executed: 'unknown' },
    cause,
  });
}
