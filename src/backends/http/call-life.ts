// The life of a call apart from its answer: waiting for the session, being sent, being given up. See http-call.ts.
import { forBegunCall, GatewayError, toGatewayError } from '../../errors/gateway-error.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendCall, CallSink, ResumePoint, RunningCall } from '../backend.js';
import type { CallSession, SessionCall } from './call-session.js';
import type { Expiring } from './deadlines.js';
import type { OpenState } from './open-state.js';
import { ReplyHandler } from './reply-handler.js';
import { recoveryError, timedOut, unavailable } from './transport-error.js';

export abstract class CallLife extends ReplyHandler implements RunningCall, Expiring, SessionCall {
  deadlineMs: number;
  protected readonly session: CallSession;
  protected readonly call: BackendCall;
  protected state: OpenState | undefined;
  /** The sink heard the end, or the caller left. */
  protected done = false;
  /** The bytes of the call itself have left: it may have run. */
  protected begun = false;
  protected sentAtMs = 0;
  /** The answer that told of the lost session, once it did: the call is then repeated, once. */
  protected lostBy: string | undefined;
  /** What it was, or will be, sent with. */
  protected credential: string | undefined;

  constructor(session: CallSession, call: BackendCall) {
    super();
    this.session = session;
    this.call = call;
    this.deadlineMs = this.#dueMs();
    this.begun = call.resume !== undefined;
  }

  begin(): void {
    const { clock, deadlines, name } = this.session.transport;
    if (this.deadlineMs <= clock.monotonicMs()) {
      this.fail(timedOut(name, { sent: false }));
      return;
    }
    deadlines.add(this);
    this.session.awaitOpen(this, this.call.headers);
  }

  // --- the session -------------------------------------------------------------------------------------------------------

  opened(state: OpenState): void {
    if (this.done) return;
    this.state = state;
    const { transport } = this.session;
    const credential = transport.credentials.current() ?? this.credential;
    if (credential === undefined && transport.credentials.isDynamic) {
      this.#awaitCredential();
      return;
    }
    this.credential = credential;
    if (this.call.resume) {
      this.resumeFrom(this.call.resume, state);
      return;
    }
    const headers = transport.plan.addForwarded(state.post, this.call.headers, credential);
    const options = { method: 'POST', path: transport.path, headers, body: this.call.bytes } as const;
    if (!transport.dispatchCall(options, this)) this.fail(unavailable(transport.name, 'busy'));
  }

  /** Then asks for the session again: it may have been opened anew meanwhile. */
  #awaitCredential(): void {
    this.session.transport.credentials.ensure(this.deadlineMs).then(
      (credential) => {
        if (this.done) return;
        this.credential = credential;
        this.session.awaitOpen(this, this.call.headers);
      },
      (error: unknown) => this.fail(toGatewayError(error)),
    );
  }

  openFailed(error: GatewayError): void {
    this.fail(this.lostBy === undefined ? error : recoveryError(this.session.transport.name, error, this.lostBy));
  }

  get mayHaveRun(): boolean {
    return this.begun;
  }

  // --- the client is asked -----------------------------------------------------------------------------------------------

  get sink(): CallSink {
    return this.call.sink;
  }

  get isPreparation(): boolean {
    return this.call.isPreparation === true;
  }

  clientAsked(): void {
    if (!this.done) this.deadlineMs = this.call.deadlineMs;
  }

  clientAnswered(): void {
    if (!this.done) this.deadlineMs = this.#dueMs();
  }

  /**
   * The backend's own time-out does not run for what an earlier owner began: it may have asked the client there, and nobody here knows
   * of the question.
   */
  #dueMs(): number {
    const { clock, config } = this.session.transport;
    const { deadlineMs, resume } = this.call;
    return resume ? deadlineMs : Math.min(deadlineMs, clock.monotonicMs() + config.timeout);
  }

  // --- giving up ---------------------------------------------------------------------------------------------------------

  cancel(reason: string, notify: boolean, headers?: Headers): void {
    if (this.done) return;
    this.finish();
    this.session.leave(this);
    if (notify || !this.begun) this.#withdraw(reason, headers);
    // Closing the connection would be a cancellation to some servers.
    else this.skipRest();
  }

  expire(): void {
    if (this.done) {
      this.abort(new Error('the answer did not end'));
      return;
    }
    this.session.leave(this);
    this.fail(timedOut(this.session.transport.name, this.begun ? {} : { sent: false }));
    this.#withdraw('timeout');
  }

  /** The session is closed: the caller hears why. */
  shut(error: GatewayError): void {
    this.fail(this.begun ? forBegunCall(error) : error);
    this.abort(error);
  }

  #withdraw(reason: string, headers: Headers = this.call.headers): void {
    const { transport } = this.session;
    transport.deadlines.delete(this);
    if (!this.begun) return;
    const state = this.call.resume ? this.#stateOfRest : this.state;
    if (state) this.session.tellCancelled(state, this.call.message.id, reason, headers);
    this.abort(new Error('withdrawn'));
  }

  /** What an earlier owner began runs in the backend session of that time, also while its rest still waits to be asked for. */
  get #stateOfRest(): OpenState | undefined {
    const { known } = this.session;
    return known && known.generation === this.call.resume?.generation ? known : undefined;
  }

  /** Takes up the answer of a call that an earlier owner began. */
  protected abstract resumeFrom(point: ResumePoint, state: OpenState): void;

  /** Reads on into nothing. */
  protected abstract skipRest(): void;

  protected refusal(): Error | undefined {
    if (this.done) return new Error('given up while it waited');
    if (!this.session.host.mayAct()) return new GatewayError('NOT_OWNER');
    this.begun = true;
    this.sentAtMs = this.session.transport.clock.monotonicMs();
    return undefined;
  }

  protected fail(error: GatewayError): void {
    if (this.done) return;
    this.finish();
    this.session.transport.deadlines.delete(this);
    this.call.sink.fail(error);
  }

  protected finish(): void {
    this.done = true;
    this.call.sink.resume = undefined;
    this.session.finished(this);
  }
}
