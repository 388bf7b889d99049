// One attempt to open a backend session: initialize, save, notifications/initialized; or only the last of them, for an owner before us
// who died in between. Single flight: callers join it. Whatever goes wrong after an id was issued ends with that id being discarded, or saved where the session's end will find it.
import type { BackendSessionRecord } from '../../directory/directory.js';
import { GatewayError, toGatewayError } from '../../errors/gateway-error.js';
import { digestOfBackendSession } from '../../protocol/ids.js';
import { isObject } from '../../protocol/json-rpc.js';
import { type Capabilities, LATEST_LEGACY_VERSION, SESSION_HEADER } from '../../protocol/mcp.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendInfo, BackendSessionHost } from '../backend.js';
import { obtain } from '../credentials/credentials.js';
import { readInitializeResult } from '../initialize-result.js';
import { ControlRequest } from './control-request.js';
import { isIssuedId, postHeaders } from './headers.js';
import { makeOpenState, type OpenState, type OpenWaiter } from './open-state.js';
import { isLostSession, readError } from './lost-session.js';
import type { ReplyHeaders } from './reply-headers.js';
import { sealBackendSession } from './sealed-session.js';
import { statusError, timedOut, unavailable } from './transport-error.js';
import type { HttpTransport } from './transport.js';

/** How long the answer to an abandoned initialize is awaited, only to discard the id in it. */
const ABANDONED_MS = 5000;
const INITIALIZE_ID = 1;
/** The backend no longer knows the session that was to be confirmed. */
const LOST = new Error('lost');
/** Told where no POST is taken: what servers of the first protocol revision answer at the URL of their stream. */
const LEGACY_REMEDY = 'if this is a server of protocol 2024-11-05 (HTTP+SSE), set type: sse';

/** Says nothing of whether the session is initialized. */
const UNDECIDED = new Set([401, 403, 408, 429]);

export interface HandshakePlan {
  readonly transport: HttpTransport;
  readonly host: BackendSessionHost;
  /** Configured and forwarded headers. */
  readonly headers: Headers;
  readonly previousGeneration: number;
  /** Of what it opens. No two attempts of a session share one, so that an id that is issued again is told from its first life. */
  readonly generation: number;
  /** Saved by an earlier owner who may have died before it was confirmed: confirmed first, opened anew only if the backend lost it. */
  readonly unconfirmed: { readonly record: BackendSessionRecord; readonly state: OpenState } | undefined;
  /** It replaces a lost session: then it is worth nothing without a caller who waits. */
  readonly isRecovery: boolean;
  /** Monotonic. */
  readonly deadlineMs: number;
  /** As soon as the record holds the new id, before anything is sent with it; once more when it is confirmed. */
  readonly onSaved: (record: BackendSessionRecord) => void;
  /** Before the waiters hear of it. */
  readonly onEnd: (outcome: OpenState | GatewayError) => void;
  /** Hands it to one who has waited for it. */
  readonly give: (waiter: OpenWaiter, state: OpenState) => void;
}

export class Handshake {
  readonly #plan: HandshakePlan;
  readonly #waiters = new Set<OpenWaiter>();
  #request: ControlRequest | undefined;
  #closedWith: GatewayError | undefined;
  #issued: unknown;
  #saved = false;

  constructor(plan: HandshakePlan) {
    this.#plan = plan;
  }

  /** Begins; the outcome is told through the plan and to the waiters. */
  start(): void {
    this.#open().then(
      (state) => {
        this.#plan.host.health?.opened();
        this.#plan.onEnd(state);
        for (const waiter of this.#takeWaiters()) this.#plan.give(waiter, state);
      },
      (error: unknown) => this.#fail(toGatewayError(error)),
    );
  }

  join(waiter: OpenWaiter): void {
    this.#waiters.add(waiter);
    if (this.#request && !this.#saved) this.#request.deadlineMs = this.#plan.deadlineMs;
  }

  leave(waiter: OpenWaiter): void {
    if (this.#waiters.delete(waiter) && this.#waiters.size === 0 && this.#plan.isRecovery) this.#abandon();
  }

  /** The session ends: waiters hear `error`; an id that still comes is discarded. */
  close(error: GatewayError): void {
    this.#closedWith = error;
    for (const waiter of this.#takeWaiters()) waiter.openFailed(error);
    this.#abandon();
  }

  #abandon(): void {
    if (!this.#request || this.#saved) return;
    this.#request.deadlineMs = Math.min(this.#request.deadlineMs, this.#plan.transport.clock.monotonicMs() + ABANDONED_MS);
  }

  #takeWaiters(): OpenWaiter[] {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    return waiters;
  }

  #fail(error: GatewayError): void {
    const isAbandoned = this.#closedWith !== undefined || (this.#plan.isRecovery && this.#waiters.size === 0);
    if (!isAbandoned) this.#plan.host.health?.openFailed(error);
    this.#plan.onEnd(error);
    for (const waiter of this.#takeWaiters()) waiter.openFailed(error);
  }

  async #open(): Promise<OpenState> {
    const { transport, host, headers, previousGeneration, onSaved, unconfirmed } = this.#plan;
    if (unconfirmed && (await this.#confirmSaved(unconfirmed.state))) {
      this.#noteConfirmed(unconfirmed.record);
      return unconfirmed.state;
    }
    const info = await this.#initialize();
    const id = this.#issued as string | undefined;
    const record = this.#makeRecord(id, info.protocolVersion, info.capabilities);
    if (this.#closedWith || (this.#plan.isRecovery && this.#waiters.size === 0)) {
      this.#discard(record);
      throw this.#closedWith ?? timedOut(transport.name, { cause: 'abandoned' });
    }
    if ((await host.save(previousGeneration, record)) !== 'saved') {
      this.#discard(record);
      throw this.#closedWith ?? new GatewayError('NOT_OWNER');
    }
    // From here on the record answers for the id: if the session ends now, its teardown finds it there.
    this.#saved = true;
    onSaved(record);
    if (this.#closedWith) throw this.#closedWith;
    const state = makeOpenState(record, id, headers, transport.plan.fixed, info);
    try {
      await this.#confirm(id, info.protocolVersion);
    } catch (error) {
      // Refused by the guard: the record lives on with its new owner, and so does the backend session.
      if (!(error instanceof GatewayError && error.code === 'NOT_OWNER')) this.#discard(record);
      throw error;
    }
    if (this.#closedWith) throw this.#closedWith;
    this.#noteConfirmed(record);
    return state;
  }

  /** @returns false if the backend no longer knows it */
  async #confirmSaved({ id, info }: OpenState): Promise<boolean> {
    this.#saved = true;
    try {
      await this.#confirm(id, info.protocolVersion, true);
    } catch (error) {
      if (error !== LOST) throw error;
      this.#saved = false;
      return false;
    }
    if (this.#closedWith) throw this.#closedWith;
    return true;
  }

  #noteConfirmed(saved: BackendSessionRecord): void {
    const record = { ...saved, isConfirmed: true };
    this.#plan.onSaved(record);
    this.#plan.host.confirmed?.(record);
  }

  async #initialize(): Promise<BackendInfo> {
    const { transport, headers, host } = this.#plan;
    const capabilities = host.clientCapabilities ?? {};
    const params = { protocolVersion: LATEST_LEGACY_VERSION, capabilities, clientInfo: transport.clientInfo };
    const body = JSON.stringify({ jsonrpc: '2.0', id: INITIALIZE_ID, method: 'initialize', params });
    try {
      let credential = await this.#credential();
      let reply = await this.#send(postHeaders({ credential }, headers), body, true);
      if (reply.status === 401 && credential !== undefined) {
        // It did not run, and nothing else has been sent yet: the one request that may go out again with another credential.
        transport.credentials.refuse(credential);
        const fresh = await transport.credentials.ensure(this.#plan.deadlineMs);
        if (fresh !== credential) {
          credential = fresh;
          reply = await this.#send(postHeaders({ credential }, headers), body, true);
        }
      }
      return this.#readAnswer(reply.status, reply.text);
    } catch (error) {
      if (isIssuedId(this.#issued)) this.#discard(this.#makeRecord(this.#issued, LATEST_LEGACY_VERSION, {}));
      throw this.#explain(error);
    }
  }

  #readAnswer(status: number, text: string): BackendInfo {
    const { name } = this.#plan.transport;
    const refusal = readError(text);
    if (refusal)
      throw unavailable(name, 'initialize_refused', { status, code: refusal.code, answer: refusal.message.slice(0, 200) });
    if (status === 404 || status === 405) throw statusError(name, status, { remedy: LEGACY_REMEDY });
    if (status !== 200) throw statusError(name, status);
    if (this.#issued !== undefined && !isIssuedId(this.#issued)) throw unavailable(name, 'bad_session_id');
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      throw unavailable(name, 'bad_reply');
    }
    return readInitializeResult(name, isObject(message) ? message.result : undefined);
  }

  /** @throws LOST where a backend may have lost what it is about */
  async #confirm(id: string | undefined, protocolVersion: string, mayBeLost = false): Promise<void> {
    const { transport, headers } = this.#plan;
    const body = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
    try {
      const credential = await this.#credential();
      const reply = await this.#send(postHeaders({ id, protocolVersion, credential }, headers), body, false);
      if (reply.status === 401 && credential !== undefined) transport.credentials.refuse(credential);
      if (mayBeLost && isLostSession(id !== undefined, reply.status, reply.text, transport.lostPattern)) throw LOST;
      if (mayBeLost && isRefusedRepeat(reply.status)) return;
      if (reply.status < 200 || reply.status > 299) throw statusError(transport.name, reply.status);
    } catch (error) {
      throw error === LOST ? error : this.#explain(error);
    }
  }

  #credential(): Promise<string | undefined> {
    return obtain(this.#plan.transport.credentials, this.#plan.deadlineMs);
  }

  #send(headers: string[], body: string, isInitialize: boolean) {
    const { transport, host, deadlineMs } = this.#plan;
    this.#request = new ControlRequest(transport.control, transport.deadlines, {
      backend: transport.name,
      method: 'POST',
      path: transport.path,
      headers,
      body,
      refusal: () => this.#closedWith ?? (host.mayAct() ? undefined : new GatewayError('NOT_OWNER')),
      deadlineMs,
      ...(isInitialize ? { responseTo: INITIALIZE_ID, onHead: (status, head) => this.#noteId(status, head) } : {}),
    });
    return this.#request.reply;
  }

  /** From the head already: the body may never come, and then the id has to be discarded all the same. */
  #noteId(status: number, headers: ReplyHeaders): void {
    if (status === 200) this.#issued = headers.get(SESSION_HEADER);
  }

  /** No call ran yet, whatever became of the handshake. */
  #explain(error: unknown): GatewayError {
    const known = toGatewayError(error);
    if (known.code !== 'OUTCOME_UNKNOWN') return known;
    return unavailable(this.#plan.transport.name, String(known.details?.reason), { step: 'initialize' }, known.cause);
  }

  #makeRecord(id: string | undefined, protocolVersion: string, capabilities: Capabilities): BackendSessionRecord {
    const { transport, host, headers, generation } = this.#plan;
    const sealed = sealBackendSession(transport.keyring, host.sessionRef, transport.name, { id, headers, url: transport.place });
    const digest = id === undefined ? {} : { digest: digestOfBackendSession(transport.place, id) };
    return { generation, sealed, protocolVersion, capabilities, transport: 'http', isConfirmed: false, ...digest };
  }

  #discard(record: BackendSessionRecord): void {
    if (isIssuedId(this.#issued)) this.#plan.host.discard(record);
  }
}

/** A strict server that had taken the first notifications/initialized refuses another: that is as good as taking it. */
function isRefusedRepeat(status: number): boolean {
  return status >= 400 && status <= 499 && !UNDECIDED.has(status);
}
