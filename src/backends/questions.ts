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
  /** By the backend's id: which calls may wait for the answer. Made when it asks for the first time: most never do. */
  #pending: Map<RequestId, AskingCall[]> | undefined;
  /** Of them, those that are passed on once more when they are told once more. */
  #again: Set<RequestId> | undefined;

  constructor(host: BackendSessionHost, from: BackendAsk['from']) {
    this.#host = host;
    this.#from = from;
  }

  /**
   * @param call on whose stream it goes to the client, if that can carry it
   * @param waiting the calls that may wait for the answer; default `call` alone
   * @returns the answer for the backend where it is ours to give; undefined: the client has been asked, or will be
   */
  take(
    id: RequestId,
    method: string,
    json: Buffer,
    call: AskingCall | undefined,
    waiting: AskingCall[] = call ? [call] : [],
  ): string | undefined {
    if (method === 'ping') return JSON.stringify({ jsonrpc: '2.0', id, result: {} });
    // Told once more (a stream that was resumed), or two under one id: there can be only one answer, and the client is asked once.
    if (this.#pending?.has(id) && !this.#again?.delete(id)) return undefined;
    const host = this.#host;
    const carrier = call?.sink.carriesRequests ? call : undefined;
    const isUnheard = waiting.length > 0 && !carrier;
    const error = host.ask
      ? host.ask({ id, method, json, sink: carrier?.sink, isUnheard, from: this.#from })
      : { code: -32601, message: 'Method not found' };
    if (error) {
      // One that is told once more: who has just been refused waits no more.
      this.answered(id);
      return errorText(id, error);
    }
    this.#pending ??= new Map();
    this.#pending.set(id, waiting);
    const [oldest] = this.#pending.keys();
    if (this.#pending.size > MAX_PENDING && oldest !== undefined) this.answered(oldest);
    for (const one of waiting) one.clientAsked();
    return undefined;
  }

  /**
   * A notification of the backend, as the client is to see it: one that takes a request back names it as the client knows it, also where
   * an owner before us has asked. Undefined: it takes back what the client was never asked, or has answered.
   */
  translate(method: string, json: Buffer): Buffer | string | undefined {
    if (method !== CANCELLED) return json;
    const message = parse(json);
    if (!isObject(message) || !isObject(message.params)) return undefined;
    const { requestId } = message.params;
    if (!isRequestId(requestId)) return undefined;
    const told = this.#host.withdraw?.(requestId, json);
    this.answered(requestId);
    return told;
  }

  /** The client has answered this one, or nobody wants that any more. */
  answered(id: RequestId): void {
    const waiting = this.#pending?.get(id) ?? [];
    this.#pending?.delete(id);
    this.#again?.delete(id);
    for (const call of waiting) if (!this.#isWaiting(call)) call.clientAnswered();
  }

  /**
   * What came outside calls may come again, as the backend is listened to from an earlier event on, for a client that has not seen what
   * followed: then it is passed on once more. What a call asked is not told there.
   */
  rewound(): void {
    const again = [...(this.#pending ?? [])].filter(([, waiting]) => waiting.length === 0);
    this.#again = again.length > 0 ? new Set(again.map(([id]) => id)) : undefined;
  }

  /** The backend has forgotten all of them, as its session or its channel is gone. */
  reset(): void {
    for (const id of [...(this.#pending?.keys() ?? [])]) {
      this.#host.forget?.(id);
      this.answered(id);
    }
  }

  /**
   * The call is over: what nobody else may wait for needs no answer any more.
   * @returns the backend's ids of that
   */
  ended(call: AskingCall): RequestId[] {
    const ids: RequestId[] = [];
    for (const [id, waiting] of this.#pending ?? []) if (remove(waiting, call) && waiting.length === 0) ids.push(id);
    for (const id of ids) {
      this.#pending?.delete(id);
      this.#host.forget?.(id);
    }
    return ids;
  }

  /** The call has its answer, and perhaps never waited for one of the client: whoever asked waits on. */
  outlive(call: AskingCall): void {
    for (const waiting of this.#pending?.values() ?? []) remove(waiting, call);
  }

  #isWaiting(call: AskingCall): boolean {
    for (const waiting of this.#pending?.values() ?? []) if (waiting.includes(call)) return true;
    return false;
  }
}

/** @returns false if it was not among them */
function remove(calls: AskingCall[], call: AskingCall): boolean {
  const place = calls.indexOf(call);
  if (place < 0) return false;
  calls.splice(place, 1);
  return true;
}

function parse(json: Buffer): unknown {
  try {
    return JSON.parse(json.toString('utf8'));
  } catch {
    return undefined;
  }
}
