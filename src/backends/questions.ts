// What one backend session asks its client, from the backend's side: each request is passed on or refused at once, and the calls that
// wait for an answer of the client do not spend the backend's time.
import { errorText, isObject, isRequestId, type RequestId } from '../protocol/json-rpc.js';
import type { BackendAsk, BackendSessionHost, CallSink } from './backend.js';

/** A call in which the backend asks. */
export interface AskingCall {
  readonly sink: CallSink;
  /** Until `clientAnswered` the backend waits for the client: its own time-out does not run. */
  clientAsked(): void;
  clientAnswered(): void;
}

const CANCELLED = 'notifications/cancelled';
/** Remembered at a time; the host has a smaller bound of its own, over all backends of the session. */
const MAX_PENDING = 128;

export class Questions {
  readonly #host: BackendSessionHost;
  readonly #from: BackendAsk['from'];
  /** By the backend's id. Made when it asks for the first time: most never do. */
  #pending: Map<RequestId, AskingCall | undefined> | undefined;

  constructor(host: BackendSessionHost, from: BackendAsk['from']) {
    this.#host = host;
    this.#from = from;
  }

  /** @returns the answer for the backend where it is ours to give; undefined: the client has been asked */
  take(id: RequestId, method: string, json: Buffer, call: AskingCall | undefined): string | undefined {
    if (method === 'ping') return JSON.stringify({ jsonrpc: '2.0', id, result: {} });
    const host = this.#host;
    const asker = call?.sink.carriesRequests ? call : undefined;
    const error = host.ask
      ? host.ask({ id, method, json, sink: asker?.sink, from: this.#from })
      : { code: -32601, message: 'Method not found' };
    if (error) return errorText(id, error);
    this.#pending ??= new Map();
    this.#pending.set(id, asker);
    const [oldest] = this.#pending.keys();
    if (this.#pending.size > MAX_PENDING && oldest !== undefined) this.answered(oldest);
    asker?.clientAsked();
    return undefined;
  }

  /** A notification of the backend, as the client is to see it: one that takes a request back names it as the client knows it. */
  translate(json: Buffer): Buffer | string {
    if (!this.#pending?.size || !json.includes(CANCELLED)) return json;
    const message = parse(json);
    if (!isObject(message) || message.method !== CANCELLED || !isObject(message.params)) return json;
    const { requestId } = message.params;
    if (!isRequestId(requestId)) return json;
    const told = this.#host.withdraw?.(requestId, json);
    this.answered(requestId);
    return told ?? json;
  }

  /** The client has answered this one, or nobody wants that any more. */
  answered(id: RequestId): void {
    const pending = this.#pending;
    const call = pending?.get(id);
    pending?.delete(id);
    if (!pending || !call) return;
    for (const other of pending.values()) if (other === call) return;
    call.clientAnswered();
  }

  /** The backend has forgotten all of them, as its session or its channel is gone. */
  reset(): void {
    for (const id of [...(this.#pending?.keys() ?? [])]) {
      this.#host.forget?.(id);
      this.answered(id);
    }
  }

  /**
   * The call is over: what was asked in it and nobody has answered needs no answer any more.
   * @returns the backend's ids of what was asked
   */
  ended(call: AskingCall): RequestId[] {
    const ids = this.#of(call);
    for (const id of ids) {
      this.#pending?.delete(id);
      this.#host.forget?.(id);
    }
    return ids;
  }

  /** The call that carried them has its answer, and may have had nothing to do with them: the backend waits on. */
  outlive(call: AskingCall): void {
    for (const id of this.#of(call)) this.#pending?.set(id, undefined);
  }

  #of(call: AskingCall): RequestId[] {
    return [...(this.#pending ?? [])].flatMap(([id, asker]) => (asker === call ? [id] : []));
  }
}

function parse(json: Buffer): unknown {
  try {
    return JSON.parse(json.toString('utf8'));
  } catch {
    return undefined;
  }
}
