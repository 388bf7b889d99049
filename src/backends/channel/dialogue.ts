// JSON-RPC on one shared channel: calls go out under ids of ours, what the backend says goes where it belongs. Lives as long as the
// channel.
//
// One slow reader: a caller that does not take its messages stops the reading of the channel, and with it every other call of the same
// session to the same backend, until it reads on or its call ends. Holding the messages back in memory instead would have no bound,
// and each session has a channel of its own: nobody else is slowed.
import { GatewayError } from '../../errors/gateway-error.js';
import type { Clock } from '../../lifecycle/clock.js';
import { errorText, isObject, type JsonRpcNotification, type RequestId, textOf } from '../../protocol/json-rpc.js';
import { scanMessage } from '../../protocol/scan-json.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendCall, RunningCall } from '../backend.js';
import { timedOut, unavailable } from '../failures.js';
import type { Wire } from './channel.js';
import { isOwnToken, requestLine, RunningCalls, type TrackedCall } from './running-calls.js';
import { withId } from './splice-id.js';

/** Node runs a timer at once that is longer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface DialogueOptions {
  readonly backend: string;
  readonly clock: Clock;
  readonly wire: Wire;
  /** Outside any call. */
  readonly onNotification: (json: string) => void;
  /** What is no message. */
  readonly onStray: (text: Buffer) => void;
  /** The last call that ran is over. */
  readonly onQuiet?: () => void;
}

export class Dialogue {
  readonly #options: DialogueOptions;
  readonly #calls = new RunningCalls();
  readonly #slow = new Set<TrackedCall>();

  constructor(options: DialogueOptions) {
    this.#options = options;
  }

  /** Calls that run. */
  get size(): number {
    return this.#calls.size;
  }

  /** As Channel.call; the channel works. @throws GatewayError BAD_ARGUMENT, and nothing of the call stays */
  call(call: BackendCall, timeoutMs: number, onNotRun?: () => void): RunningCall {
    const { clock, wire, backend } = this.#options;
    const entry = this.#calls.make(call, onNotRun);
    const text = requestLine(entry);
    this.#calls.add(entry);
    call.sink.resume = () => this.#readOn(entry);
    const nowMs = clock.monotonicMs();
    const leftMs = Math.min(Math.max(0, Math.min(timeoutMs, call.deadlineMs - nowMs)), MAX_TIMER_MS);
    entry.timer = clock.after(leftMs, () => this.#expire(entry));
    const taken = wire.send({
      id: entry.id,
      text,
      headers: call.headers,
      deadlineMs: nowMs + leftMs,
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

  /** One message of the backend. Of two answers to one call the second is dropped. */
  take(text: Buffer): void {
    const message = scanMessage(text);
    switch (message.kind) {
      case 'response':
        this.#respond(message.id, text);
        break;
      case 'notification':
        if (message.method === 'notifications/progress') this.#progress(text);
        else this.#options.onNotification(text.toString('utf8'));
        break;
      case 'request':
        this.#answer(message.id, message.method);
        break;
      case 'invalid':
        this.#options.onStray(text);
        break;
    }
  }

  /** Ends all calls, each with the error for one that may have run (`written`) or cannot have. */
  failAll(errorFor: (written: boolean) => GatewayError): void {
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
    if (!entry) {
      // A task goes on reporting after its call was answered; but a token that we made says nothing to anybody else.
      if (!isOwnToken(params.progressToken)) this.#options.onNotification(text.toString('utf8'));
      return;
    }
    const isOwn = entry.progressToken !== entry.callerToken;
    const told = isOwn
      ? textOf({ ...(message as object), params: { ...params, progressToken: entry.callerToken } })
      : text.toString('utf8');
    if (told === undefined) {
      this.#options.onStray(text);
      return;
    }
    if (entry.call.sink.message(told, false) || !this.#calls.has(entry)) return;
    this.#slow.add(entry);
    this.#options.wire.pause();
  }

  #answer(id: RequestId, method: string): void {
    const text =
      method === 'ping'
        ? JSON.stringify({ jsonrpc: '2.0', id, result: {} })
        : errorText(id, { code: -32601, message: 'Method not found' });
    void this.#options.wire.say(text, {}, 'answer');
  }

  #readOn(entry: TrackedCall): void {
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
    this.#readOn(entry);
    if (this.#calls.size === 0) this.#options.onQuiet?.();
    return true;
  }
}
