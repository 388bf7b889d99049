// Everything that comes from the gateway, on whichever stream, passes here on its way to stdout: each request of the client gets
// exactly one answer, an answer that nobody waits for is dropped, and what is no JSON-RPC message never reaches stdout.
import { classifyMessage, isObject, type JsonRpcErrorObject, type RequestId } from '../protocol/json-rpc.js';
import type { Call } from './call.js';
import { keyOf, parse } from './message.js';
import type { Notes } from './notes.js';
import type { Output } from './output.js';

/** Requests of the server whose answer is awaited; beyond that the oldest is forgotten, its answer goes to the session in force. */
const MAX_ASKED = 1000;

export class Relay {
  readonly #output: Output;
  readonly #notes: Notes;
  readonly #pending = new Map<string, Call>();
  /** Requests of the server, with the generation of the session that asked. */
  readonly #asked = new Map<string, number>();

  constructor(output: Output, notes: Notes) {
    this.#output = output;
    this.#notes = notes;
  }

  /** Whether a request with this id waits for its answer. */
  isPending(id: RequestId): boolean {
    return this.#pending.has(keyOf(id));
  }

  find(id: RequestId): Call | undefined {
    return this.#pending.get(keyOf(id));
  }

  add(call: Call): void {
    for (const key of call.openKeys()) this.#pending.set(key, call);
  }

  /** Its client wants no answer, or it has them all. */
  remove(call: Call): void {
    for (const key of call.openKeys()) this.#pending.delete(key);
  }

  /** Calls without all of their answers. */
  pending(): Call[] {
    return [...new Set(this.#pending.values())];
  }

  /** Whether the request of the server with this id came from an earlier session, which would not understand the answer. */
  isOfEarlierSession(id: RequestId, generation: number): boolean {
    const asked = this.#asked.get(keyOf(id));
    this.#asked.delete(keyOf(id));
    // 0: asked while initialize was still being answered.
    return asked !== undefined && asked !== 0 && asked !== generation;
  }

  /**
   * Takes one message of the gateway.
   * @param call whose answer's body it stands in
   * @returns once stdout has room again
   */
  async take(text: string, generation: number, call?: Call): Promise<void> {
    const json = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
    const value = parse(json);
    if (Array.isArray(value)) return this.#takeBatch(json, value, generation);
    switch (classifyMessage(value)) {
      case 'request':
        this.#noteAsked((value as { id: RequestId }).id, generation);
        return this.#output.write(json);
      case 'notification':
        return this.#output.write(json);
      case 'response':
        return this.#takeResponse(json, (value as { id: RequestId }).id);
      case 'invalid': {
        // An error without an id: the gateway could not read ours.
        const error = isObject(value) && isObject(value.error) ? value.error : undefined;
        // Of a batch it concerns one element, and the others still get their answers.
        if (error && call?.facts.what === 'batch') return this.#output.write(json);
        if (error && call) return this.fail(call, error as unknown as JsonRpcErrorObject);
        this.#notes.tell('dropped something of the gateway that is no JSON-RPC message');
      }
    }
  }

  /** An error for each request of the call that has no answer yet. */
  async fail(call: Call, error: JsonRpcErrorObject): Promise<void> {
    this.remove(call);
    for (const text of call.failOpen(error)) await this.#deliver(call, text);
  }

  async #takeBatch(json: string, parts: readonly unknown[], generation: number): Promise<void> {
    let isWanted = false;
    for (const part of parts) {
      const kind = classifyMessage(part);
      if (kind === 'response') isWanted = this.#settle((part as { id: RequestId }).id) !== undefined || isWanted;
      else if (kind !== 'invalid') isWanted = true;
      if (kind === 'request') this.#noteAsked((part as { id: RequestId }).id, generation);
    }
    if (isWanted) await this.#output.write(json);
  }

  async #takeResponse(json: string, id: RequestId): Promise<void> {
    const call = this.#settle(id);
    if (call) await this.#deliver(call, json);
    else this.#notes.tell('dropped an answer that no request waits for');
  }

  #settle(id: RequestId): Call | undefined {
    const call = this.#pending.get(keyOf(id));
    this.#pending.delete(keyOf(id));
    return call?.settle(keyOf(id)) ? call : undefined;
  }

  async #deliver(call: Call, json: string): Promise<void> {
    const { onResponse } = call.facts;
    await (onResponse ? onResponse(json) : this.#output.write(json));
  }

  #noteAsked(id: RequestId, generation: number): void {
    this.#asked.set(keyOf(id), generation);
    if (this.#asked.size > MAX_ASKED) this.#asked.delete(this.#asked.keys().next().value as string);
  }
}
