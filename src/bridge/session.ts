// The session at the gateway: made by the client's initialize, made anew with the same parameters when the gateway has lost it.
import { randomBytes } from 'node:crypto';
import type { Clock } from '../lifecycle/clock.js';
import { isObject, type JsonRpcErrorObject } from '../protocol/json-rpc.js';
import { SESSION_HEADER, VERSION_HEADER } from '../protocol/mcp.js';
import { Call } from './call.js';
import { parse } from './message.js';
import type { Notes } from './notes.js';
import { Patience, wait } from './patience.js';
import type { Outcome, Post, SessionState } from './post.js';
import type { Relay } from './relay.js';

export interface SessionParts {
  readonly post: Post;
  readonly relay: Relay;
  readonly clock: Clock;
  readonly notes: Notes;
  readonly patienceMs: number;
  /** A session is there and initialized: its stream may be opened. */
  readonly onReady: (state: SessionState) => void;
  /** The client has initialized anew: nobody uses this one any more. */
  readonly onReplaced: (state: SessionState) => void;
}

/** Before the first initialize, and for each. */
export const NO_SESSION: SessionState = { generation: 0, hasId: false, headers: {} };

const INITIALIZED = Buffer.from('{"jsonrpc":"2.0","method":"notifications/initialized"}');

/** Why no new session could be made; for every caller that waited for it. */
export class NotReopened extends Error {
  readonly error: JsonRpcErrorObject;

  constructor(error: JsonRpcErrorObject) {
    super(error.message);
    this.error = error;
  }
}

export class BridgeSession {
  readonly #parts: SessionParts;
  #current = NO_SESSION;
  #version: string | undefined;
  #generations = 0;
  /** The newest generation whose place another initialize of the client took. */
  #replaced = 0;
  /** Of the client's initialize. */
  #params: unknown;
  #reopening: Promise<void> | undefined;
  #attempt: Call | undefined;
  #isEnded = false;

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  get current(): SessionState {
    return this.#current;
  }

  /** Whether the client's own initialize put another session in place of that one: the bridge has ended it then. */
  wasReplaced(generation: number): boolean {
    return generation <= this.#replaced;
  }

  /** What initialize negotiated. */
  get version(): string | undefined {
    return this.#version;
  }

  /** While a lost session is made anew. Never rejects. */
  get reopening(): Promise<unknown> | undefined {
    return this.#reopening?.catch(() => undefined);
  }

  /** The client's initialize as a call: its answer makes the session before the client sees it. */
  initializeCall(message: Record<string, unknown>, bytes: Buffer, write: (text: string) => Promise<void>): Call {
    return this.#openingCall(message, bytes, (state, text) => {
      if (state) {
        this.#params = message.params;
        this.#replaced = this.#current.generation;
        if (this.#current.hasId) this.#parts.onReplaced(this.#current);
        this.#install(state, text);
      }
      return write(text);
    });
  }

  /** The client's notifications/initialized was taken. */
  confirm(): void {
    if (this.#current.generation > 0 && !this.#isEnded) this.#parts.onReady(this.#current);
  }

  /**
   * Makes a session in place of that of the generation; all who find it lost share one attempt.
   * @throws NotReopened
   */
  recover(lost: number): Promise<void> {
    if (this.#current.generation !== lost) return Promise.resolve();
    this.#reopening ??= this.#reopen().finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  /** No new session from now on. @returns the last one */
  end(): SessionState {
    this.#isEnded = true;
    this.#attempt?.abort();
    return this.#current;
  }

  async #reopen(): Promise<void> {
    const { notes, patienceMs, clock } = this.#parts;
    notes.tell('the gateway has lost the session; initializing anew');
    const id = `berth-${randomBytes(6).toString('hex')}`;
    const message = { jsonrpc: '2.0', id, method: 'initialize', params: this.#params };
    let made: SessionState | undefined;
    let answer = '';
    const opening = this.#openingCall(message, Buffer.from(JSON.stringify(message)), (state, text) => {
      made = state;
      answer = text;
    });
    const patience = new Patience(clock, patienceMs);
    await this.#persist(opening, NO_SESSION, patience);
    const error = (parse(answer) as { error?: JsonRpcErrorObject } | undefined)?.error;
    if (!made) throw new NotReopened(error ?? { code: -32603, message: 'The gateway refused a new session' });
    const initialized = new Call({ bytes: INITIALIZED, what: 'notifications/initialized', ids: [], isSafe: true });
    await this.#persist(initialized, made, patience);
    this.#install(made, answer);
    this.confirm();
  }

  /** Sends until it is taken, within the patience. @throws NotReopened */
  async #persist(call: Call, state: SessionState, patience: Patience): Promise<void> {
    const { post, relay, clock, notes } = this.#parts;
    this.#attempt = call;
    relay.add(call);
    try {
      for (;;) {
        const outcome: Outcome = this.#isEnded ? { kind: 'failed', error: ENDING } : await post.attempt(call, state);
        if (outcome.kind === 'done') return;
        const delayMs = outcome.kind === 'again' ? patience.nextDelay(outcome.afterMs) : undefined;
        if (delayMs === undefined) throw new NotReopened(outcome.error);
        notes.away(outcome.error.message);
        await wait(clock, delayMs, call.signal);
      }
    } finally {
      relay.remove(call);
    }
  }

  #openingCall(
    message: Record<string, unknown>,
    bytes: Buffer,
    onAnswer: (state: SessionState | undefined, text: string) => void | Promise<void>,
  ): Call {
    let issued: string | undefined;
    return new Call({
      bytes,
      what: 'initialize',
      ids: [message.id as string | number],
      isSafe: true,
      opensSession: true,
      onIssued: (id) => {
        issued = id;
      },
      onResponse: (text) => onAnswer(this.#stateOf(text, issued), text),
    });
  }

  #stateOf(text: string, issued: string | undefined): SessionState | undefined {
    const version = versionOf(text);
    if (version === undefined) return undefined;
    const headers = { ...(issued !== undefined && { [SESSION_HEADER]: issued }), [VERSION_HEADER]: version };
    return { generation: ++this.#generations, hasId: issued !== undefined, headers };
  }

  #install(state: SessionState, answer: string): void {
    this.#current = state;
    this.#version = versionOf(answer);
  }
}

const ENDING: JsonRpcErrorObject = { code: -32000, message: 'The bridge ends' };

/** The negotiated version in the answer to initialize; undefined if that is an error. */
function versionOf(text: string): string | undefined {
  const result = (parse(text) as { result?: unknown } | undefined)?.result;
  const version = isObject(result) ? result.protocolVersion : undefined;
  return typeof version === 'string' && /^[\x21-\x7e]{1,64}$/.test(version) ? version : undefined;
}
