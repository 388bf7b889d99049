// What backends ask the client (sampling, elicitation, roots): the request goes out on a stream of the session under an id of ours, and
// the client's answer finds the backend from any worker, also at an owner that has never heard of the question (DESIGN 6).
//
// The id is sealed for the session: it holds backend and original id, so that no two backends collide, none can be answered for another,
// and nobody can make one up.
import type { BackendAsk, BackendSession } from '../backends/backend.js';
import type { Clock } from '../lifecycle/clock.js';
import {
  isObject,
  isRequestId,
  type JsonRpcErrorObject,
  type JsonRpcNotification,
  type JsonRpcResponse,
  type RequestId,
  textOf,
} from '../protocol/json-rpc.js';
import { withId } from '../protocol/with-id.js';
import { type Keyring, seal, unseal } from '../secrets/keyring.js';
import type { Headers } from '../streams/exchange.js';
import { askableCapabilities } from './askable.js';
import type { Session } from './session.js';

/** Capability of the client without which it is not asked. */
const CAPABILITY: ReadonlyMap<string, string> = new Map([
  ['sampling/createMessage', 'sampling'],
  ['elicitation/create', 'elicitation'],
  ['roots/list', 'roots'],
]);
/** Questions of one session that wait for an answer; beyond them a backend is told that nobody answers. */
const MAX_PENDING = 64;
/** One that waits longer, and belongs to no call that would end it, makes room for another. */
const MAX_WAIT_MS = 10 * 60_000;
/** Answered ones that are remembered, so that a second answer is dropped. */
const MAX_ANSWERED = 256;
/** A longer id of a backend is not carried to the client and back. */
const MAX_ID_LENGTH = 256;

/**
 * asked · undeclared: the client did not say that it can be asked that · nobody: it has no stream open now · busy: too many wait ·
 * withdrawn: by the backend · answered: on its way to the backend · dropped: answered before, withdrawn, or nobody waits any more ·
 * unknown: an answer to nothing that this session was asked.
 */
export type QuestionOutcome = 'asked' | 'undeclared' | 'nobody' | 'busy' | 'withdrawn' | 'answered' | 'dropped' | 'unknown';

/** `delivered`: resolves when the backend has it, or it is lost; `dropped` and `unknown` as above. */
export type AnswerOutcome =
  | { readonly kind: 'delivered'; readonly done: Promise<void> }
  | { readonly kind: 'dropped' }
  | { readonly kind: 'unknown' };

interface Pending {
  readonly backend: string;
  readonly id: RequestId;
  readonly from: BackendAsk['from'];
  readonly askedMs: number;
}

/** What one session was asked. */
export class SessionQuestions {
  /** By our id, oldest first. */
  readonly pending = new Map<string, Pending>();
  /** Our ids to which no answer is taken any more, oldest first. */
  readonly closed = new Set<string>();

  close(ours: string): void {
    this.pending.delete(ours);
    this.closed.add(ours);
    const [oldest] = this.closed;
    if (this.closed.size > MAX_ANSWERED && oldest !== undefined) this.closed.delete(oldest);
  }
}

export interface ClientRequestsParts {
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly count: (outcome: QuestionOutcome) => void;
}

export class ClientRequests {
  readonly #parts: ClientRequestsParts;

  constructor(parts: ClientRequestsParts) {
    this.#parts = parts;
  }

  /**
   * Passes a question of a backend on to the client: on the stream of the call it came with, else on the standalone one.
   * @returns why not, for the backend
   */
  ask(session: Session, backend: string, { id, method, json, sink, from }: BackendAsk): JsonRpcErrorObject | undefined {
    const { clock, keyring, count } = this.#parts;
    const refusal = refuse(session.facts.client.capabilities, method, json);
    if (refusal) {
      count('undeclared');
      return refusal;
    }
    session.questions ??= new SessionQuestions();
    const { questions, streams, standalone } = session;
    const nowMs = clock.monotonicMs();
    if (!this.#hasRoom(questions, nowMs) || String(id).length > MAX_ID_LENGTH) {
      count('busy');
      return { code: -32603, message: 'The client is not asked: too many requests to it wait for an answer' };
    }
    if (!sink && !standalone) {
      count('nobody');
      return { code: -32603, message: 'The client is not asked: it has no stream open that could carry the request' };
    }
    const token = json.includes('progressToken') ? tokenOf(json) : undefined;
    const asked = [backend, id, session.generationOf(backend), ...(token === undefined ? [] : [token])];
    const ours = seal(keyring, JSON.stringify(asked), contextOf(session));
    const text = rename(json, ours, token !== undefined);
    if (text === undefined) return { code: -32700, message: 'Parse error' };
    questions.pending.set(ours, { backend, id, from, askedMs: nowMs });
    count('asked');
    if (sink) sink.message(text, false);
    else streams.tell(text, nowMs);
    return undefined;
  }

  /** The backend no longer wants an answer. @returns its notification as the client knows the request; undefined if it was not asked */
  withdraw(session: Session, backend: string, id: RequestId, json: Buffer | string): string | undefined {
    const ours = this.#close(session, backend, id);
    if (ours === undefined) return undefined;
    this.#parts.count('withdrawn');
    const message = JSON.parse(json.toString()) as { params: object };
    return textOf({ ...message, params: { ...message.params, requestId: ours } });
  }

  /** Nobody waits for the answer any more: the call is over, or the backend's session is. */
  forget(session: Session, backend: string, id: RequestId): void {
    this.#close(session, backend, id);
  }

  /**
   * notifications/progress of the client. Tokens are the backends' own, who may use the same: each gets what concerns its questions, and
   * a token that is none of those goes to all.
   * @returns whom it is for, under the token that the backend knows; undefined: not about a question
   */
  progress(
    session: Session,
    message: JsonRpcNotification,
  ): { backend: BackendSession; message: JsonRpcNotification } | undefined {
    const { progressToken: ours } = message.params ?? {};
    const text = typeof ours === 'string' ? unseal(this.#parts.keyring, ours, contextOf(session)) : undefined;
    if (text === undefined) return undefined;
    const [name, , generation, progressToken] = JSON.parse(text) as unknown[];
    const backend = session.backends.get(String(name));
    if (!backend || !isRequestId(progressToken) || session.generationOf(String(name)) !== generation) return undefined;
    return { backend, message: { ...message, params: { ...message.params, progressToken } } };
  }

  /** The client's answer: to be delivered once, and only to whoever asked. */
  answer(session: Session, response: JsonRpcResponse, bytes: Buffer, headers: Headers): AnswerOutcome {
    const { count } = this.#parts;
    const { id: ours } = response;
    const asked = typeof ours === 'string' ? this.#find(session, ours) : undefined;
    if (!asked || typeof ours !== 'string') {
      count('unknown');
      return { kind: 'unknown' };
    }
    session.questions ??= new SessionQuestions();
    if (asked === 'over' || session.questions.closed.has(ours)) {
      count('dropped');
      return { kind: 'dropped' };
    }
    const { id, from } = asked;
    // First: what is nested too deeply to be written throws, and the question is still open then.
    const json = answerOf(response, bytes, id);
    session.questions.close(ours);
    count('answered');
    return { kind: 'delivered', done: from.respond(id, json, headers) };
  }

  #hasRoom(questions: SessionQuestions, nowMs: number): boolean {
    const { pending } = questions;
    if (pending.size < MAX_PENDING) return true;
    const [oldest] = pending;
    if (!oldest || nowMs - oldest[1].askedMs < MAX_WAIT_MS) return false;
    questions.close(oldest[0]);
    return true;
  }

  #close({ questions }: Session, backend: string, id: RequestId): string | undefined {
    for (const [ours, pending] of questions?.pending ?? []) {
      if (pending.backend !== backend || pending.id !== id) continue;
      questions?.close(ours);
      return ours;
    }
    return undefined;
  }

  /** Asked by us, or by an owner before us; `over`: what asked it is gone. Undefined: this session was never asked that. */
  #find(session: Session, ours: string): Pick<Pending, 'id' | 'from'> | 'over' | undefined {
    const pending = session.questions?.pending.get(ours);
    // Closed by a reload that changed settings alone, its backend session goes on in another object.
    if (pending?.from.isOpen) return pending;
    const text = unseal(this.#parts.keyring, ours, contextOf(session));
    if (text === undefined) return undefined;
    const [backend, id, generation] = JSON.parse(text) as unknown[];
    if (typeof backend !== 'string' || !isRequestId(id)) return undefined;
    const from = session.backends.get(backend);
    // The backend's session of that time is gone, and with it what waits.
    return from && session.generationOf(backend) === generation ? { id, from } : 'over';
  }
}

/** No id of one session opens in another. */
function contextOf({ facts }: Session): string {
  return `ask/${facts.ref}`;
}

function refuse(client: unknown, method: string, json: Buffer): JsonRpcErrorObject | undefined {
  const name = CAPABILITY.get(method);
  if (name === undefined) return { code: -32601, message: 'Method not found' };
  const declared = askableCapabilities(client)[name];
  if (!isObject(declared)) return { code: -32601, message: `Method not found: the client did not declare ${name}` };
  if (name !== 'elicitation') return undefined;
  // 2025-11-25, "Elicitation", capabilities: none named means form; a mode that was not declared is -32602.
  const isUrl = modeOf(json) === 'url';
  const mayAsk = isUrl ? isObject(declared.url) : isObject(declared.form) || declared.url === undefined;
  return mayAsk ? undefined : { code: -32602, message: `the client did not declare elicitation.${isUrl ? 'url' : 'form'}` };
}

/** Undefined for what is not JSON after all (a large message was only looked through), or nested too deeply to be written. */
function rename(json: Buffer, ours: string, hasToken: boolean): Buffer | string | undefined {
  try {
    return withId(hasToken ? withToken(json, ours) : json, ours);
  } catch {
    return undefined;
  }
}

function modeOf(json: Buffer): unknown {
  try {
    const { params } = JSON.parse(json.toString()) as { params?: unknown };
    return isObject(params) ? params.mode : undefined;
  } catch {
    return undefined;
  }
}

function tokenOf(json: Buffer): RequestId | undefined {
  try {
    const { params } = JSON.parse(json.toString()) as { params?: unknown };
    const meta = isObject(params) ? params._meta : undefined;
    return isObject(meta) && isRequestId(meta.progressToken) ? meta.progressToken : undefined;
  } catch {
    return undefined;
  }
}

function withToken(json: Buffer, progressToken: string): Buffer {
  const message = JSON.parse(json.toString()) as { params: { _meta: object } };
  const { params } = message;
  return Buffer.from(JSON.stringify({ ...message, params: { ...params, _meta: { ...params._meta, progressToken } } }));
}

const RESPONSE_KEYS: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'result', 'error']);

/**
 * The client's own bytes, so that a number that JavaScript cannot hold stays what it is; but only where they are nothing but a response:
 * another key could make it another message to a backend that reads more laxly than we do (I4).
 */
function answerOf(response: JsonRpcResponse, bytes: Buffer, id: RequestId): Buffer | string {
  if (Object.keys(response).every((key) => RESPONSE_KEYS.has(key))) return withId(bytes, id);
  const { result, error } = response;
  return JSON.stringify(error === undefined ? { jsonrpc: '2.0', id, result } : { jsonrpc: '2.0', id, error });
}
