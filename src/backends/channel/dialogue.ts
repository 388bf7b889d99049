// JSON-RPC on one shared channel: calls go out under ids of ours, what the backend says goes where it belongs. Lives as long as the
// channel.
//
// One slow reader: what his call says waits in the ring of his stream, and the channel is read on. Only when the ring fills is the
// channel not read for a moment, in which a reader that merely got a burst catches up; other calls of the same session wait with it.
// After that moment he is on his own: falling behind the ring ends his stream in order (resumable-stream.ts), not his call. Each session
// has a channel of its own: nobody else is slowed.
import { GatewayError } from '../../errors/gateway-error.js';
import { type Clock, MAX_TIMER_MS } from '../../lifecycle/clock.js';
import { errorText, isObject, type JsonRpcNotification, type RequestId, textOf } from '../../protocol/json-rpc.js';
import { isBatch, takeEach } from '../../protocol/batch.js';
import { scanMessage } from '../../protocol/scan-json.js';
import type { Headers } from '../../streams/exchange.js';
import { withId } from '../../protocol/with-id.js';
import type { BackendCall, BackendSessionHost, RunningCall } from '../backend.js';
import { timedOut, unavailable } from '../failures.js';
import { type AskingCall, Questions } from '../questions.js';
import type { Wire } from './channel.js';
import { hasLineBreak, requestLine, RunningCalls, type TrackedCall } from './running-calls.js';

/** To a question of which all calls that may have waited for it were cancelled or timed out. */
const GIVEN_UP = { code: -32603, message: 'The client is not asked any more: the call that carried the request is over' };
/** How long all calls of a channel wait for one caller, until he has taken everything. */
const MAX_STALL_MS = 500;

export interface DialogueOptions {
  readonly backend: string;
  readonly clock: Clock;
  readonly wire: Wire;
  readonly host: BackendSessionHost;
  /** What is no message. */
  readonly onStray: (text: Buffer) => void;
  /** The last call that ran is over. */
  readonly onQuiet?: () => void;
}

export class Dialogue {
  readonly #options: DialogueOptions;
  readonly #calls = new RunningCalls();
  readonly #slow = new Set<TrackedCall>();
  readonly #questions: Questions;
  /** For questions.ts: what was asked is forgotten as soon as it is over. */
  readonly isOpen = true;

  constructor(options: DialogueOptions) {
    this.#options = options;
    this.#questions = new Questions(options.host, this);
  }

  /** Calls that run. */
  get size(): number {
    return this.#calls.size;
  }

  /** As Channel.call; the channel works. @throws GatewayError BAD_ARGUMENT, and nothing of the call stays */
  call(call: BackendCall, timeoutMs: number, onNotRun?: () => void): RunningCall {
    const { clock, wire, backend } = this.#options;
    const entry = this.#calls.make(call, timeoutMs, onNotRun);
    const text = requestLine(entry);
    this.#calls.add(entry);
    call.sink.resume = () => {
      entry.isTooSlow = false;
      this.#readOn(entry);
    };
    const deadlineMs = clock.monotonicMs() + this.#arm(entry, timeoutMs);
    const taken = wire.send({
      id: entry.id,
      text,
      headers: call.headers,
      deadlineMs,
      isWanted: () => this.#calls.has(entry),
      onRefused: () => this.#fail(entry, new GatewayError('NOT_OWNER')),
      onWritten: () => {
        entry.written = true;
      },
      onNotRun: () => {
        entry.written = false;
      },
      onFailed: (error) => this.#fail(entry, error),
      onLost: (error) => this.#lose(entry, error),
    });
    if (!taken) this.#fail(entry, unavailable(backend, 'busy'));
    return {
      get mayHaveRun() {
        return entry.written;
      },
      cancel: (reason, notify) => {
        if (this.#remove(entry) && notify) this.#sendCancelled(entry, reason);
      },
    };
  }

  /** As Channel.notify. A cancellation of a call that is over, or unknown, goes nowhere. */
  notify(message: JsonRpcNotification, headers: Headers): Promise<GatewayError | undefined> {
    if (message.method !== 'notifications/cancelled') return this.#say(message, headers);
    const entry = this.#calls.byCallerId(message.params?.requestId);
    if (!entry) return Promise.resolve(undefined);
    return this.#say({ ...message, params: { ...message.params, requestId: entry.id } }, headers);
  }

  /** One message of the backend, or an array of them. Of two answers to one call the second is dropped. */
  take(text: Buffer): void {
    const message = scanMessage(text);
    switch (message.kind) {
      case 'response':
        this.#respond(message.id, text);
        break;
      case 'notification':
        if (message.method === 'notifications/progress') this.#progress(text);
        else this.#tell(message.method, text);
        break;
      case 'request':
        this.#ask(message.id, message.method, text);
        break;
      case 'invalid':
        // A server of 2025-03-26 may send several at once.
        if (isBatch(text)) takeEach(text, (one) => this.take(one));
        else this.#options.onStray(text);
        break;
    }
  }

  /** See BackendSession.respond. */
  async respond(id: RequestId, json: Buffer | string, headers: Headers): Promise<void> {
    this.#questions.answered(id);
    await this.#options.wire.say(hasLineBreak(json) ? JSON.stringify(JSON.parse(json.toString())) : json, headers, 'response');
  }

  /** The channel is over. Ends all calls, each with the error for one that may have run (`written`) or cannot have. */
  failAll(errorFor: (written: boolean) => GatewayError): void {
    this.#questions.reset();
    for (const entry of this.#calls.all()) this.#fail(entry, errorFor(entry.written));
  }

  #say(message: JsonRpcNotification, headers: Headers): Promise<GatewayError | undefined> {
    const { wire, backend } = this.#options;
    const text = textOf(message);
    return text === undefined ? Promise.resolve(unavailable(backend, 'too_deep')) : wire.say(text, headers, message.method);
  }

  #sendCancelled(entry: TrackedCall, reason: string): void {
    // initialize may not be cancelled, and what was not written needs no taking back.
    if (!entry.written || entry.call.message.method === 'initialize') return;
    const params = { requestId: entry.id, reason };
    void this.#say({ jsonrpc: '2.0', method: 'notifications/cancelled', params }, entry.call.headers);
  }

  #respond(id: RequestId, text: Buffer): void {
    const entry = this.#calls.byId(id);
    // Late, after a cancellation or a time-out: nobody waits for it.
    if (!entry) return;
    let answer: Buffer | string;
    try {
      answer = withId(text, entry.call.message.id);
    } catch {
      this.#options.onStray(text);
      return;
    }
    // What was asked while it ran was perhaps asked in another one, or in none: its answer is still to come.
    if (entry.asking) this.#questions.outlive(entry.asking);
    this.#remove(entry);
    entry.call.sink.message(answer, true);
  }

  #progress(text: Buffer): void {
    let message: unknown;
    try {
      message = JSON.parse(text.toString('utf8'));
    } catch {
      this.#options.onStray(text);
      return;
    }
    const params = isObject(message) && isObject(message.params) ? message.params : {};
    const entry = this.#calls.byToken(params.progressToken);
    // Nobody gave that token, or its call has its answer, after which nothing more is told of it.
    if (!entry) return;
    const isOwn = entry.progressToken !== entry.callerToken;
    const told = isOwn
      ? textOf({ ...(message as object), params: { ...params, progressToken: entry.callerToken } })
      : text.toString('utf8');
    if (told === undefined) {
      this.#options.onStray(text);
      return;
    }
    if (!entry.call.sink.message(told, false) && this.#calls.has(entry)) this.#waitFor(entry);
  }

  /** Its caller takes nothing for now. */
  #waitFor(entry: TrackedCall): void {
    if (entry.isTooSlow || entry.call.sink.isNearBound === false || this.#slow.has(entry)) return;
    const { clock, wire } = this.#options;
    this.#slow.add(entry);
    entry.stall = clock.after(MAX_STALL_MS, () => {
      entry.isTooSlow = true;
      this.#readOn(entry);
    });
    wire.pause();
  }

  /**
   * Which call it belongs to is not told on a shared channel: the one that began last is the best guess for the way to the client. Any of
   * those that run may wait for the answer, and none of them can be blamed for the time that the client takes.
   */
  #ask(id: RequestId, method: string, text: Buffer): void {
    const waiting = method === 'ping' ? [] : this.#calls.all().flatMap((entry) => this.#askingIn(entry));
    const carrier = waiting.findLast(({ sink }) => sink.carriesRequests === true);
    const answer = this.#questions.take(id, method, text, carrier, waiting);
    if (answer !== undefined) void this.#options.wire.say(answer, {}, 'answer');
  }

  /** None for what the gateway asks by itself, lists for example: no client waits in it, and it has short deadlines of its own. */
  #askingIn(entry: TrackedCall): AskingCall[] {
    if (entry.call.sink.carriesRequests === undefined) return [];
    entry.asking ??= {
      sink: entry.call.sink,
      clientAsked: () => void this.#arm(entry, Number.POSITIVE_INFINITY),
      clientAnswered: () => void this.#arm(entry, entry.timeoutMs),
    };
    return [entry.asking];
  }

  /** From now on. @returns how long it has, ms */
  #arm(entry: TrackedCall, timeoutMs: number): number {
    const { clock } = this.#options;
    const leftMs = entry.call.deadlineMs - clock.monotonicMs();
    const ms = Math.min(Math.max(0, Math.min(timeoutMs, leftMs)), MAX_TIMER_MS);
    entry.timer?.cancel();
    entry.timer = clock.after(ms, () => this.#expire(entry));
    return ms;
  }

  /** Outside any call. */
  #tell(method: string, text: Buffer): void {
    const told = this.#questions.translate(method, text);
    if (told !== undefined) this.#options.host.onNotification(told.toString());
  }

  #readOn(entry: TrackedCall): void {
    entry.stall?.cancel();
    if (this.#slow.delete(entry) && this.#slow.size === 0) this.#options.wire.resume();
  }

  #expire(entry: TrackedCall): void {
    if (!this.#remove(entry)) return;
    this.#sendCancelled(entry, 'timed out');
    entry.call.sink.fail(timedOut(this.#options.backend));
  }

  #lose(entry: TrackedCall, error: GatewayError): void {
    if (!this.#remove(entry)) return;
    if (entry.onNotRun) entry.onNotRun();
    else entry.call.sink.fail(error);
  }

  #fail(entry: TrackedCall, error: GatewayError): void {
    if (this.#remove(entry)) entry.call.sink.fail(error);
  }

  #remove(entry: TrackedCall): boolean {
    if (!this.#calls.remove(entry)) return false;
    // Given up, and nobody else may have asked: the backend hears so.
    for (const id of entry.asking ? this.#questions.ended(entry.asking) : [])
      void this.#options.wire.say(errorText(id, GIVEN_UP), {}, 'answer');
    this.#readOn(entry);
    if (this.#calls.size === 0) this.#options.onQuiet?.();
    return true;
  }
}
