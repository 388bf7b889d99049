// One message of the client on its way: which answers it still owes him, and whether it has left.
import { errorText, type JsonRpcErrorObject, type RequestId } from '../protocol/json-rpc.js';
import { keyOf } from './message.js';

export interface CallFacts {
  readonly bytes: Buffer;
  /** For notes on stderr: a method, `response` or `batch`. */
  readonly what: string;
  /** Of the requests in it: one, many (a batch) or none (a notification, a response). */
  readonly ids: readonly RequestId[];
  /** Whether it may be sent again although it may have run. */
  readonly isSafe: boolean;
  /** Belongs to no session: initialize. */
  readonly opensSession?: boolean;
  /** Asked when its turn has come: an error instead of sending it, `skip` to drop it without a word. */
  readonly refusal?: () => JsonRpcErrorObject | 'skip' | undefined;
  /** The session id that the answer's head carried. */
  readonly onIssued?: (sessionId: string | undefined) => void;
  /** Gets the response, also an error made here, instead of stdout. */
  readonly onResponse?: (text: string) => void | Promise<void>;
}

export class Call {
  readonly facts: CallFacts;
  /** Bytes of the present attempt have left, or are about to. */
  sent = false;
  /** The client wants no answer any more. */
  isCancelled = false;
  readonly #open = new Map<string, RequestId>();
  readonly #abort = new AbortController();

  constructor(facts: CallFacts) {
    this.facts = facts;
    for (const id of facts.ids) this.#open.set(keyOf(id), id);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get isAnswered(): boolean {
    return this.#open.size === 0;
  }

  /** Whether it was to have an answer at all. */
  get isRequest(): boolean {
    return this.facts.ids.length > 0;
  }

  /** Keys of the requests without an answer. */
  openKeys(): string[] {
    return [...this.#open.keys()];
  }

  /** @returns false if that request has its answer already */
  settle(key: string): boolean {
    return this.#open.delete(key);
  }

  /** Error answers, one for each request that has none; they count as answered from now on. */
  failOpen(error: JsonRpcErrorObject): string[] {
    const texts = [...this.#open.values()].map((id) => errorText(id, error));
    this.#open.clear();
    return texts;
  }

  abort(): void {
    this.#abort.abort(new Error('given up by the client'));
  }
}
