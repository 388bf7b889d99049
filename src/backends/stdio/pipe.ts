// The channel to one child: its stdin and stdout. Lives as long as the child.
import { forBegunCall, type GatewayError } from '../../errors/gateway-error.js';
import type { Clock } from '../../lifecycle/clock.js';
import type { ProcessGroup } from '../../lifecycle/process-group.js';
import type { JsonRpcNotification } from '../../protocol/json-rpc.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendCall, BackendSessionHost, RunningCall } from '../backend.js';
import type { Channel } from '../channel/channel.js';
import { Dialogue } from '../channel/dialogue.js';
import { outcomeUnknown, unavailable } from '../failures.js';
import { Child, type ChildCommand, type ChildEnd } from './child.js';
import type { ChildLog } from './child-log.js';
import { Outbox } from './outbox.js';

export interface PipeOptions {
  readonly backend: string;
  readonly command: ChildCommand;
  readonly clock: Clock;
  readonly log: ChildLog;
  readonly host: BackendSessionHost;
  readonly onGroup: (group: ProcessGroup, alive: boolean) => void;
  /** The child is no more; calls in flight have been told. */
  readonly onLost: (reason: string) => void;
}

export class Pipe implements Channel {
  readonly #options: PipeOptions;
  readonly #dialogue: Dialogue;
  readonly #outbox: Outbox;
  readonly #child: Child;
  #end: ChildEnd | undefined;
  #closedWith: GatewayError | undefined;

  /** Starts the child. */
  constructor(options: PipeOptions) {
    this.#options = options;
    const { backend, clock, log } = options;
    this.#child = new Child(options.command, clock, {
      onGroup: options.onGroup,
      onLine: (line) => this.#take(line),
      onStderr: (chunk) => log.stderr(chunk),
      onDrain: () => this.#outbox.flush(),
      onEnd: (end) => this.#onEnd(end),
    });
    this.#outbox = new Outbox(
      () => this.#child.stdin,
      () => options.host.mayAct(),
    );
    this.#dialogue = new Dialogue({
      backend,
      clock,
      wire: {
        send: (outgoing) => this.#outbox.push(outgoing),
        say: (text) => this.#say(text),
        pause: () => this.#child.pause(),
        resume: () => this.#child.resume(),
      },
      host: options.host,
      onStray: (line) => log.strayLine(line),
    });
  }

  /** Resolves when no process of the child's group is left. */
  get gone(): Promise<void> {
    return this.#child.gone;
  }

  /** Also while the end of the child is not told yet. */
  get failure(): GatewayError | undefined {
    if (this.#closedWith) return this.#closedWith;
    const reason = this.#end?.reason ?? this.#child.failure;
    return reason && unavailable(this.#options.backend, reason, {}, this.#end?.cause);
  }

  /** At once: what is written before the child reads waits in the pipe. */
  ready(): Promise<void> {
    return Promise.resolve();
  }

  call(call: BackendCall, timeoutMs: number): RunningCall {
    const { failure } = this;
    if (!failure) return this.#dialogue.call(call, timeoutMs);
    call.sink.fail(failure);
    return { mayHaveRun: false, cancel: () => undefined };
  }

  /** A line carries no revision. */
  agreed(): void {}

  notify(message: JsonRpcNotification, headers: Headers): Promise<GatewayError | undefined> {
    return this.#dialogue.notify(message, headers);
  }

  /** Ends the child and its group. */
  close(error: GatewayError): void {
    this.#closedWith ??= error;
    this.#child.end();
    this.#dialogue.failAll((written) => (written ? forBegunCall(error) : error));
  }

  noteFailedOpening(error: GatewayError): void {
    const { log } = this.#options;
    log.event('stdio backend did not start', { reason: error.details?.reason, stderr: log.lastLine });
  }

  #say(text: Buffer | string): Promise<undefined> {
    this.#outbox.push({ text, isWanted: () => true, onRefused: () => undefined, onWritten: () => undefined });
    return Promise.resolve(undefined);
  }

  #take(line: Buffer): void {
    if (line.length > 0 && !this.#closedWith) this.#dialogue.take(line);
  }

  #onEnd(end: ChildEnd): void {
    this.#end = end;
    const { backend, log, onLost } = this.#options;
    log.finish();
    if (!this.#closedWith) {
      const { reason, code, signal, cause } = end;
      const why = cause instanceof Error && 'code' in cause ? { cause: cause.code } : {};
      log.event('stdio backend ended', { reason, code, signal, ...why, stderr: log.lastLine });
    }
    const { reason } = end;
    this.#dialogue.failAll((written) => (written ? outcomeUnknown(backend, reason) : unavailable(backend, reason)));
    onLost(`the process ended (${reason})`);
  }
}
