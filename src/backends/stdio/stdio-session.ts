// One session's use of a stdio backend: a child of its own, started at the first use. Its state lives in that process and dies with
// it, or with this worker; `onStateLoss` says what becomes of the session then.
import type { BackendSessionRecord } from '../../directory/directory.js';
import { GatewayError, toGatewayError } from '../../errors/gateway-error.js';
import type { JsonRpcNotification } from '../../protocol/json-rpc.js';
import { seal } from '../../secrets/keyring.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendCall, BackendInfo, BackendSession, BackendSessionHost, RunningCall } from '../backend.js';
import type { ChildEnd } from './child.js';
import { ChildLog } from './child-log.js';
import { timedOut } from './failures.js';
import { initialize } from './handshake.js';
import { Pipe } from './pipe.js';
import type { StdioParts } from './stdio-backend.js';

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'opening'; readonly pipe: Pipe; readonly opened: Promise<BackendInfo> }
  | { readonly kind: 'open'; readonly pipe: Pipe; readonly info: BackendInfo }
  /** Closed, or its state was lost and the session is to end: every call hears `error`. */
  | { readonly kind: 'closed'; readonly error: GatewayError };

export class StdioBackendSession implements BackendSession {
  readonly backend: string;
  readonly #parts: StdioParts;
  readonly #host: BackendSessionHost;
  #state: State = { kind: 'idle' };
  #info: BackendInfo | undefined;
  #record: BackendSessionRecord | undefined;
  /** Children whose group has not ended yet, this session's earlier ones included. */
  readonly #pipes = new Set<Pipe>();

  /** @param record of an earlier owner: the process it speaks of died with that worker */
  constructor(parts: StdioParts, host: BackendSessionHost, record: BackendSessionRecord | undefined) {
    this.backend = parts.name;
    this.#parts = parts;
    this.#host = host;
    this.#record = record;
    // Deferred: whoever makes us has not yet stored us when the session hears that it has to end.
    if (record && parts.config.onStateLoss === 'fail') setImmediate(() => this.#loseState('the process ended with its worker'));
  }

  get info(): BackendInfo | undefined {
    return this.#info;
  }

  get record(): BackendSessionRecord | undefined {
    return this.#record;
  }

  get isOpen(): boolean {
    return this.#state.kind === 'open';
  }

  get isBoundToWorker(): boolean {
    return this.#state.kind === 'open' || this.#state.kind === 'opening';
  }

  /**
   * Starts the child if none runs. An attempt goes on to `limits.startTimeout` also when its first caller gives up: a command that
   * installs itself is ready for the next one.
   * @throws GatewayError also SESSION_NOT_FOUND, when its state was lost and the session ends
   */
  open(deadlineMs: number): Promise<BackendInfo> {
    const state = this.#state;
    switch (state.kind) {
      case 'open':
        return Promise.resolve(state.info);
      case 'closed':
        return Promise.reject(state.error);
      case 'opening':
        return this.#waitFor(state.opened, deadlineMs);
      case 'idle':
        return this.#waitFor(this.#start(), deadlineMs);
    }
  }

  call(call: BackendCall): RunningCall {
    if (this.#state.kind === 'open') return this.#state.pipe.call(call, this.#parts.config.timeout);
    let running: RunningCall | undefined;
    let cancelled = false;
    this.open(call.deadlineMs).then(
      () => {
        if (!cancelled) running = this.call(call);
      },
      (error: unknown) => {
        if (!cancelled) call.sink.fail(toGatewayError(error));
      },
    );
    return {
      cancel: (reason, notify) => {
        cancelled = true;
        running?.cancel(reason, notify);
      },
    };
  }

  notify(message: JsonRpcNotification, _headers: Headers): Promise<void> {
    // The handshake is ours: a child that hears of it twice may take it for a second client.
    if (this.#state.kind === 'open' && message.method !== 'notifications/initialized') this.#state.pipe.notify(message);
    return Promise.resolve();
  }

  /** Nothing to do: notifications of a child come over the same pipe as its answers. */
  setListening(_listening: boolean): void {}

  close(error: GatewayError): void {
    if (this.#state.kind === 'closed') return;
    this.#state = { kind: 'closed', error };
    for (const pipe of this.#pipes) pipe.close(error);
  }

  #waitFor(opened: Promise<BackendInfo>, deadlineMs: number): Promise<BackendInfo> {
    const { clock } = this.#parts;
    return new Promise((resolve, reject) => {
      const leftMs = Math.max(0, Math.min(deadlineMs - clock.monotonicMs(), 2 ** 31 - 1));
      const timer = clock.after(leftMs, () => reject(timedOut(this.backend, { step: 'start' })));
      opened.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  #start(): Promise<BackendInfo> {
    // Starting a program is an act that others can see.
    if (!this.#host.mayAct()) return Promise.reject(new GatewayError('NOT_OWNER'));
    const pipe = this.#spawn();
    const opened = this.#open(pipe);
    this.#state = { kind: 'opening', pipe, opened };
    return opened;
  }

  #spawn(): Pipe {
    const { name, config, clock, logger, environment, onGroup } = this.#parts;
    const { command, args, cwd, env } = config;
    const log = new ChildLog({ sessionRef: this.#host.sessionRef, env, clock, logger });
    const pipe: Pipe = new Pipe({
      backend: name,
      command: { command, args, cwd, env: environment },
      clock,
      log,
      mayAct: () => this.#host.mayAct(),
      onGroup,
      onNotification: (json) => this.#host.onNotification(json),
      onLost: (end) => this.#onLost(pipe, end),
    });
    this.#pipes.add(pipe);
    this.#parts.watch(this, pipe.gone);
    pipe.gone.then(() => this.#pipes.delete(pipe));
    return pipe;
  }

  async #open(pipe: Pipe): Promise<BackendInfo> {
    try {
      const { name, clock, clientInfo, startTimeoutMs } = this.#parts;
      const deadlineMs = clock.monotonicMs() + startTimeoutMs;
      const info = await initialize({ backend: name, pipe, clientInfo, deadlineMs });
      const generation = this.#record?.generation ?? 0;
      const record = this.#makeRecord(generation + 1, info);
      const saved = await this.#host.save(generation, record);
      // Closed, or dead, while Redis was asked.
      if (saved === 'saved') this.#record = record;
      if (pipe.failure) throw pipe.failure;
      if (saved !== 'saved' || !this.#host.mayAct()) throw new GatewayError('NOT_OWNER');
      pipe.notify({ jsonrpc: '2.0', method: 'notifications/initialized' });
      this.#state = { kind: 'open', pipe, info };
      this.#host.health?.opened();
      this.#info = info;
      this.#parts.onInfo(info);
      return info;
    } catch (error) {
      const known = toGatewayError(error);
      if (this.#state.kind !== 'closed' && known.code !== 'NOT_OWNER') {
        this.#host.health?.openFailed(known);
        pipe.log.event('stdio backend did not start', { reason: known.details?.reason, stderr: pipe.log.lastLine });
      }
      if (this.#state.kind === 'opening' && this.#state.pipe === pipe) this.#state = { kind: 'idle' };
      pipe.close(known);
      throw known;
    }
  }

  #makeRecord(generation: number, { protocolVersion, capabilities }: BackendInfo): BackendSessionRecord {
    const context = `${this.#host.sessionRef}/${this.backend}`;
    const sealed = seal(this.#parts.keyring, JSON.stringify({ id: '', headers: {} }), context);
    return { generation, sealed, protocolVersion, capabilities, transport: 'stdio' };
  }

  #onLost(pipe: Pipe, end: ChildEnd): void {
    // During the opening nothing was lost yet: that attempt fails, the next call tries again.
    if (this.#state.kind !== 'open' || this.#state.pipe !== pipe) return;
    if (this.#parts.config.onStateLoss === 'fail') this.#loseState(`the process ended (${end.reason})`);
    else this.#state = { kind: 'idle' };
  }

  #loseState(reason: string): void {
    if (this.#state.kind === 'closed') return;
    this.close(new GatewayError('SESSION_NOT_FOUND'));
    this.#host.onStateLost(reason);
  }
}
