// JSON-RPC with one child: calls go in under ids of ours, what the child says goes where it belongs. Lives as long as the child.
//
// One slow reader: a caller that does not take its messages stops the reading of this child, and with it every other call of the same
// session to the same backend, until it reads on or its call ends. Holding the messages back in memory instead would have no bound,
// and each session has a child of its own: nobody else is slowed.
import { serializeMessage } from '@modelcontextprotocol/sdk/shared/stdio.js';
import { GatewayError } from '../../errors/gateway-error.js';
import type { Clock } from '../../lifecycle/clock.js';
import type { ProcessGroup } from '../../lifecycle/process-group.js';
import { isObject, type JsonRpcNotification, type RequestId } from '../../protocol/json-rpc.js';
import { scanMessage } from '../../protocol/scan-json.js';
import type { BackendCall, RunningCall } from '../backend.js';
import { Child, type ChildCommand, type ChildEnd } from './child.js';
import type { ChildLog } from './child-log.js';
import { outcomeUnknown, timedOut, unavailable } from './failures.js';
import { Outbox } from './outbox.js';
import { isOwnToken, type PipeCall, requestLine, RunningCalls } from './running-calls.js';
import { withId } from './splice-id.js';

/** Node runs a timer at once that is longer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface PipeOptions {
  readonly backend: string;
  readonly command: ChildCommand;
  readonly clock: Clock;
  readonly log: ChildLog;
  readonly mayAct: () => boolean;
  readonly onGroup: (group: ProcessGroup, alive: boolean) => void;
  readonly onNotification: (json: string) => void;
  /** The child is no more; calls in flight have been told. */
  readonly onLost: (end: ChildEnd) => void;
}

export class Pipe {
  readonly log: ChildLog;
  readonly #options: PipeOptions;
  readonly #calls = new RunningCalls();
  readonly #slow = new Set<PipeCall>();
  readonly #outbox: Outbox;
  readonly #child: Child;
  #end: ChildEnd | undefined;
  #closedWith: GatewayError | undefined;

  /** Starts the child. */
  constructor(options: PipeOptions) {
    this.#options = options;
    this.log = options.log;
    this.#child = new Child(options.command, options.clock, {
      onGroup: options.onGroup,
      onLine: (line) => this.#take(line),
      onStderr: (chunk) => this.log.stderr(chunk),
      onDrain: () => this.#outbox.flush(),
      onEnd: (end) => this.#onEnd(end),
    });
    this.#outbox = new Outbox(() => this.#child.stdin, options.mayAct);
  }

  /** Resolves when no process of the child's group is left. */
  get gone(): Promise<void> {
    return this.#child.gone;
  }

  /** Why no call can be taken any more, also while the end of the child is not told yet; undefined while it runs. */
  get failure(): GatewayError | undefined {
    if (this.#closedWith) return this.#closedWith;
    const reason = this.#end?.reason ?? this.#child.failure;
    return reason && unavailable(this.#options.backend, reason, {}, this.#end?.cause);
  }

  /** @param timeoutMs how long the backend may take; the call's own deadline bounds it too */
  call(call: BackendCall, timeoutMs: number): RunningCall {
    const { failure } = this;
    if (failure) {
      call.sink.fail(failure);
      return { cancel: () => undefined };
    }
    const entry = this.#calls.add(call);
    call.sink.resume = () => this.#readOn(entry);
    const leftMs = Math.min(timeoutMs, call.deadlineMs - this.#options.clock.monotonicMs());
    entry.timer = this.#options.clock.after(Math.min(Math.max(0, leftMs), MAX_TIMER_MS), () => this.#expire(entry));
    const taken = this.#outbox.push({
      text: requestLine(entry),
      isWanted: () => this.#calls.has(entry),
      onRefused: () => this.#fail(entry, new GatewayError('NOT_OWNER')),
      onWritten: () => {
        entry.written = true;
      },
    });
    if (!taken) this.#fail(entry, unavailable(this.#options.backend, 'busy'));
    return {
      cancel: (reason, notify) => {
        if (this.#remove(entry) && notify) this.#sendCancelled(entry, reason);
      },
    };
  }

  /** Sends a notification of the client. A cancellation of a call that is over, or unknown, goes nowhere. */
  notify(message: JsonRpcNotification): void {
    if (message.method !== 'notifications/cancelled') {
      this.#say(message);
      return;
    }
    const entry = this.#calls.byCallerId(message.params?.requestId);
    if (entry) this.#say({ ...message, params: { ...message.params, requestId: entry.id } });
  }

  /** Ends the child and its group; calls in flight fail with `error`. */
  close(error: GatewayError): void {
    this.#closedWith ??= error;
    this.#child.end();
    for (const entry of this.#calls.all()) this.#fail(entry, error);
  }

  #say(message: object): void {
    this.#outbox.push({
      text: serializeMessage(message as never).trimEnd(),
      isWanted: () => true,
      onRefused: () => undefined,
      onWritten: () => undefined,
    });
  }

  #sendCancelled(entry: PipeCall, reason: string): void {
    // initialize may not be cancelled, and what was not written needs no taking back.
    if (!entry.written || entry.call.message.method === 'initialize') return;
    this.#say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: entry.id, reason } });
  }

  #take(line: Buffer): void {
    if (line.length === 0 || this.#closedWith) return;
    const message = scanMessage(line);
    switch (message.kind) {
      case 'response':
        this.#respond(message.id, line);
        break;
      case 'notification':
        if (message.method === 'notifications/progress') this.#progress(line);
        else this.#options.onNotification(line.toString('utf8'));
        break;
      case 'request':
        this.#answer(message.id, message.method);
        break;
      case 'invalid':
        this.log.strayLine(line);
        break;
    }
  }

  #respond(id: RequestId, line: Buffer): void {
    const entry = this.#calls.byId(id);
    // Late, after a cancellation or a time-out: nobody waits for it.
    if (!entry) return;
    let text: Buffer | string;
    try {
      text = withId(line, entry.call.message.id);
    } catch {
      this.log.strayLine(line);
      return;
    }
    this.#remove(entry);
    entry.call.sink.message(text, true);
  }

  #progress(line: Buffer): void {
    let message: unknown;
    try {
      message = JSON.parse(line.toString('utf8'));
    } catch {
      this.log.strayLine(line);
      return;
    }
    const params = isObject(message) && isObject(message.params) ? message.params : {};
    const entry = this.#calls.byToken(params.progressToken);
    if (!entry) {
      // A task goes on reporting after its call was answered; but a token that we made says nothing to anybody else.
      if (!isOwnToken(params.progressToken)) this.#options.onNotification(line.toString('utf8'));
      return;
    }
    const isOwn = entry.progressToken !== entry.callerToken;
    const text = isOwn
      ? JSON.stringify({ ...(message as object), params: { ...params, progressToken: entry.callerToken } })
      : line.toString('utf8');
    if (entry.call.sink.message(text, false) || !this.#calls.has(entry)) return;
    this.#slow.add(entry);
    this.#child.pause();
  }

  #answer(id: RequestId, method: string): void {
    const answer = method === 'ping' ? { result: {} } : { error: { code: -32601, message: 'Method not found' } };
    this.#say({ jsonrpc: '2.0', id, ...answer });
  }

  #readOn(entry: PipeCall): void {
    if (this.#slow.delete(entry) && this.#slow.size === 0) this.#child.resume();
  }

  #expire(entry: PipeCall): void {
    if (!this.#remove(entry)) return;
    this.#sendCancelled(entry, 'timed out');
    entry.call.sink.fail(timedOut(this.#options.backend));
  }

  #fail(entry: PipeCall, error: GatewayError): void {
    if (this.#remove(entry)) entry.call.sink.fail(error);
  }

  #remove(entry: PipeCall): boolean {
    if (!this.#calls.remove(entry)) return false;
    this.#readOn(entry);
    return true;
  }

  #onEnd(end: ChildEnd): void {
    this.#end = end;
    const { backend } = this.#options;
    const { log } = this;
    log.finish();
    if (!this.#closedWith) {
      const { reason, code, signal, cause } = end;
      const why = cause instanceof Error && 'code' in cause ? { cause: cause.code } : {};
      log.event('stdio backend ended', { reason, code, signal, ...why, stderr: log.lastLine });
    }
    for (const entry of this.#calls.all()) {
      this.#fail(entry, entry.written ? outcomeUnknown(backend, end.reason) : unavailable(backend, end.reason));
    }
    this.#options.onLost(end);
  }
}
