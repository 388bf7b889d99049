// The backend session of one client session: opens lazily, carries calls, heals once when the backend forgot it.
import type { BackendSessionRecord } from '../../directory/directory.js';
import { GatewayError } from '../../errors/gateway-error.js';
import { Bag } from '../../lifecycle/bag.js';
import { type JsonRpcNotification, type RequestId, textOf } from '../../protocol/json-rpc.js';
import type { Headers } from '../../streams/exchange.js';
import {
  type BackendCall,
  type BackendInfo,
  type BackendSession,
  type BackendSessionHost,
  type ListenFrom,
  NOTHING_RUNS,
  type RunningCall,
} from '../backend.js';
import { Questions } from '../questions.js';
import type { BackendRequest, CallSession, SessionCall } from './call-session.js';
import { Handshake } from './handshake.js';
import { HttpCall } from './http-call.js';
import { ListenStream, type ListeningSession } from './listen-stream.js';
import type { OpenState, OpenWaiter } from './open-state.js';
import { waitForOpen } from './open-wait.js';
import { pingCall } from './ping.js';
import { restoreSession } from './restore-session.js';
import { Telling } from './telling.js';
import { outcomeUnknown, unavailable } from './transport-error.js';
import type { HttpTransport } from './transport.js';

/** Answers under way to one backend session; a backend that asks faster than it reads gets no more. */
const MAX_ANSWERS = 32;

export class HttpBackendSession implements BackendSession, CallSession, ListeningSession {
  readonly backend: string;
  readonly isBoundToWorker = false;
  readonly resumesStreams = true;
  readonly transport: HttpTransport;
  readonly host: BackendSessionHost;
  current: OpenState | undefined;
  #record: BackendSessionRecord | undefined;
  /** What an earlier owner had saved and perhaps not confirmed. */
  #unconfirmed: { readonly record: BackendSessionRecord; readonly state: OpenState } | undefined;
  /** Highest of any attempt to open it. */
  #generation: number;
  #handshake: Handshake | undefined;
  /** Who waits until the session that has just been opened is as its client wants it. */
  #unprepared: Set<OpenWaiter> | undefined;
  #closedWith: GatewayError | undefined;
  readonly #calls = new Bag<SessionCall>('call');
  readonly #listen: ListenStream;
  readonly #telling: Telling;
  readonly #answering: Telling;
  readonly #questions: Questions;
  /** The last failed recovery: calls that were sent before it share its outcome instead of trying one each. */
  #failure: { readonly generation: number; readonly atMs: number; readonly error: GatewayError } | undefined;

  /** @param record goes on with that backend session, without initialize; one that cannot be unsealed is opened anew */
  constructor(transport: HttpTransport, host: BackendSessionHost, record: BackendSessionRecord | undefined) {
    this.backend = transport.name;
    this.transport = transport;
    this.host = host;
    this.#listen = new ListenStream(this);
    const telling = { transport, sessionRef: host.sessionRef, mayAct: () => host.mayAct() };
    this.#telling = new Telling(telling);
    this.#answering = new Telling({ ...telling, max: MAX_ANSWERS });
    this.#questions = new Questions(host, this);
    this.#record = record;
    this.#generation = record?.generation ?? 0;
    const restored = record && restoreSession(transport, host.sessionRef, record);
    if (restored && record.isConfirmed === false) this.#unconfirmed = { record, state: restored };
    else this.current = restored;
  }

  get info(): BackendInfo | undefined {
    return this.current?.info;
  }

  /** Where an owner before us may not have saved that it was confirmed: it was, or nothing would have been asked or called in it. */
  get known(): OpenState | undefined {
    return this.current ?? this.#unconfirmed?.state;
  }

  get isOpen(): boolean {
    return this.current !== undefined && this.#closedWith === undefined;
  }

  get openedWith(): Headers | undefined {
    return this.current?.headers;
  }

  get record(): BackendSessionRecord | undefined {
    return this.#record;
  }

  open(deadlineMs: number, headers: Headers = {}): Promise<BackendInfo> {
    return waitForOpen(this, deadlineMs, headers);
  }

  call(call: BackendCall): RunningCall {
    // Of one that is gone nothing is left to go on with: it must not be opened anew for that.
    if (call.resume && !this.known) {
      call.sink.fail(outcomeUnknown(this.backend, 'session_lost'));
      return NOTHING_RUNS;
    }
    const running = new HttpCall(this, call);
    this.#calls.add(running);
    running.begin();
    return running;
  }

  async notify(message: JsonRpcNotification, headers: Headers): Promise<void> {
    const { current } = this;
    if (!current || this.#closedWith) return;
    await this.#tell(current, message, headers);
  }

  async respond(id: RequestId, json: Buffer | string, headers: Headers): Promise<void> {
    const state = this.known;
    this.#questions.answered(id);
    if (state && !this.#closedWith) await this.#post(this.#telling, state, json, 'response', headers);
  }

  setListening(listening: boolean, headers?: Headers, from?: ListenFrom): void {
    if (this.#closedWith) return;
    if (from?.again) this.#questions.rewound();
    this.#listen.setListening(listening, headers, from);
  }

  reconnect(withinMs: number): void {
    this.#listen.hurry(withinMs);
  }

  close(error: GatewayError): void {
    if (this.#closedWith) return;
    this.#closedWith = error;
    this.#listen.stop();
    this.#handshake?.close(error);
    for (const waiter of this.#unprepared ?? []) waiter.openFailed(error);
    this.#unprepared = undefined;
    for (const call of this.#calls.toArray()) call.shut(error);
  }

  // --- for calls and streams of this session -----------------------------------------------------------------------------

  awaitOpen(waiter: OpenWaiter, headers: Headers): void {
    if (this.#closedWith) {
      waiter.openFailed(this.#closedWith);
      return;
    }
    // During a recovery the old id is known to be dead: to send with it would only earn another 404.
    if (this.#handshake) {
      this.#handshake.join(waiter);
      return;
    }
    if (this.current) {
      this.#give(waiter, this.current);
      return;
    }
    this.#begin(waiter, this.transport.plan.withForwarded(headers), false);
  }

  leave(waiter: OpenWaiter): void {
    this.#unprepared?.delete(waiter);
    this.#handshake?.leave(waiter);
  }

  recover(waiter: OpenWaiter, generation: number, sentAtMs: number, headers: Headers): void {
    if (this.#closedWith) {
      waiter.openFailed(this.#closedWith);
      return;
    }
    const { current, transport } = this;
    if (current && current.generation > generation) {
      this.#give(waiter, current);
      return;
    }
    if (transport.config.onStateLoss === 'fail') {
      waiter.openFailed(new GatewayError('SESSION_NOT_FOUND', { details: { backend: this.backend, reason: 'session_lost' } }));
      this.host.onStateLost(`backend ${this.backend} lost its session`);
      return;
    }
    if (this.#handshake) {
      this.#handshake.join(waiter);
      return;
    }
    const failure = this.#failure;
    if (failure && failure.generation === generation && sentAtMs < failure.atMs) {
      waiter.openFailed(failure.error);
      return;
    }
    const refusal = this.host.health?.refusal();
    if (refusal) {
      waiter.openFailed(refusal);
      return;
    }
    this.#begin(waiter, transport.plan.withForwarded(headers), true);
  }

  finished(call: SessionCall): void {
    this.#calls.delete(call);
    this.#questions.ended(call);
  }

  tellCancelled(state: OpenState, requestId: RequestId, reason: string, headers: Headers): void {
    const message = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId, reason } };
    void this.#tell(state, message, headers);
  }

  asked(state: OpenState, { id, method, json }: BackendRequest, headers: Headers, call?: SessionCall): void {
    if (this.#closedWith) return;
    const answer = this.#questions.take(id, method, json, call);
    if (answer !== undefined) void this.#post(this.#answering, state, answer, 'answer', headers);
  }

  translate(method: string, json: Buffer): Buffer | string | undefined {
    return this.#questions.translate(method, json);
  }

  async probe(): Promise<void> {
    await pingCall(this, this.transport.clock.monotonicMs() + this.transport.reinitializeTimeoutMs, this.#listen.client);
  }

  // --- inside ------------------------------------------------------------------------------------------------------------

  #begin(waiter: OpenWaiter, headers: Headers, isRecovery: boolean): void {
    const { transport, host } = this;
    const boundMs = isRecovery ? Math.min(transport.reinitializeTimeoutMs, transport.config.timeout) : transport.config.timeout;
    const generation = this.current?.generation ?? 0;
    const handshake = new Handshake({
      transport,
      host,
      headers,
      previousGeneration: this.#record?.generation ?? 0,
      generation: ++this.#generation,
      unconfirmed: this.#unconfirmed,
      isRecovery,
      deadlineMs: transport.clock.monotonicMs() + boundMs,
      onSaved: (record) => {
        this.#record = record;
        this.#unconfirmed = undefined;
      },
      onEnd: (outcome) => this.#ended(outcome, generation),
      give: (opened, state) => this.#give(opened, state),
    });
    this.#handshake = handshake;
    handshake.join(waiter);
    handshake.start();
  }

  #ended(outcome: OpenState | GatewayError, generation: number): void {
    this.#handshake = undefined;
    if (outcome instanceof GatewayError) {
      this.#failure = { generation, atMs: this.transport.clock.monotonicMs(), error: outcome };
      this.transport.logger?.warn(
        { backend: this.backend, session: this.host.sessionRef, code: outcome.code, details: outcome.details },
        'backend session not opened',
      );
      return;
    }
    this.#failure = undefined;
    this.#questions.reset();
    if (this.current) this.transport.onReinitialized?.(this.backend);
    this.current = outcome;
    this.transport.lastInfo = outcome.info;
    this.#listen.sessionOpened();
    const prepared = this.host.opened?.(outcome.info, outcome.headers);
    if (prepared) this.#prepare(prepared);
  }

  #give(waiter: OpenWaiter, state: OpenState): void {
    if (this.#unprepared && !waiter.isPreparation) this.#unprepared.add(waiter);
    else waiter.opened(state);
  }

  #prepare(prepared: Promise<void>): void {
    // A set of its own: this session may be lost, and another one be opened, before the preparation of the one before it has ended.
    const waiters = new Set(this.#unprepared);
    this.#unprepared = waiters;
    void prepared.then(() => {
      const { current } = this;
      if (this.#unprepared !== waiters || !current) return;
      this.#unprepared = undefined;
      for (const waiter of waiters) waiter.opened(current);
    });
  }

  async #tell(state: OpenState, message: { readonly method: string }, client: Headers): Promise<void> {
    const text = textOf(message);
    if (text === undefined) this.#telling.note(message.method, unavailable(this.transport.name, 'too_deep'));
    else await this.#post(this.#telling, state, text, message.method, client);
  }

  #post(telling: Telling, state: OpenState, text: Buffer | string, what: string, client: Headers): Promise<unknown> {
    const { path, plan } = this.transport;
    return telling.post({ path, headers: (own) => plan.addForwarded(state.post, client, own), text, what });
  }
}
