// One session's use of a backend whose state lives in a channel of its own (a child, an event stream), opened at the first use. The
// state dies with the channel, or with this worker; `onStateLoss` says what becomes of the session then.
import type { BackendSessionRecord } from '../../directory/directory.js';
import { GatewayError, toGatewayError } from '../../errors/gateway-error.js';
import { type Clock, MAX_TIMER_MS } from '../../lifecycle/clock.js';
import type { JsonRpcNotification } from '../../protocol/json-rpc.js';
import type { Implementation } from '../../protocol/mcp.js';
import { type Keyring, seal } from '../../secrets/keyring.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendCall, BackendInfo, BackendSession, BackendSessionHost, RunningCall } from '../backend.js';
import { timedOut } from '../failures.js';
import type { Channel } from './channel.js';
import { initialize } from './initialize.js';

/** What a channel may use of the session that opens it. */
export interface ChannelOpening {
  readonly host: BackendSessionHost;
  /** Headers of the client that may be passed on. */
  readonly headers: Headers;
  /** It carries nothing more, or the backend lost its state; not while it is opened or after it was closed. */
  onLost(reason: string): void;
}

/** What the sessions of one backend share. */
export interface ChannelParts {
  readonly name: string;
  readonly transport: BackendSessionRecord['transport'];
  readonly onStateLoss: 'fail' | 'reinitialize';
  /** How long one call may take. */
  readonly timeoutMs: number;
  readonly startTimeoutMs: number;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly clientInfo: Implementation;
  /** Why the state is gone that an earlier owner had. */
  readonly lossByTakeOver: string;
  /** Begins to open a channel; failures are told by `ready` and the calls on it. */
  readonly open: (opening: ChannelOpening) => Channel;
  readonly onInfo: (info: BackendInfo) => void;
  /** A session has opened a channel; `gone` resolves when nothing of it is left. */
  readonly watch: (session: ChannelSession, gone: Promise<void>) => void;
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'opening'; readonly channel: Channel; readonly opened: Promise<BackendInfo> }
  | { readonly kind: 'open'; readonly channel: Channel; readonly info: BackendInfo }
  /** Closed, or its state was lost and the session is to end: every call hears `error`. */
  | { readonly kind: 'closed'; readonly error: GatewayError };

export class ChannelSession implements BackendSession {
  readonly backend: string;
  readonly #parts: ChannelParts;
  readonly #host: BackendSessionHost;
  #state: State = { kind: 'idle' };
  #info: BackendInfo | undefined;
  #record: BackendSessionRecord | undefined;
  /** Channels that have not ended yet, this session's earlier ones included. */
  readonly #channels = new Set<Channel>();

  /** @param record of an earlier owner: the state it speaks of died with that worker */
  constructor(parts: ChannelParts, host: BackendSessionHost, record: BackendSessionRecord | undefined) {
    this.backend = parts.name;
    this.#parts = parts;
    this.#host = host;
    this.#record = record;
    // Deferred: whoever makes us has not yet stored us when the session hears that it has to end.
    if (record && parts.onStateLoss === 'fail') setImmediate(() => this.#loseState(parts.lossByTakeOver));
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
   * Opens a channel if there is none. An attempt goes on to `limits.startTimeout` also when its first caller gives up: a command that
   * installs itself is ready for the next one.
   * @throws GatewayError also SESSION_NOT_FOUND, when its state was lost and the session ends
   */
  open(deadlineMs: number, headers: Headers = {}): Promise<BackendInfo> {
    const state = this.#state;
    switch (state.kind) {
      case 'open':
        return Promise.resolve(state.info);
      case 'closed':
        return Promise.reject(state.error);
      case 'opening':
        return this.#waitFor(state.opened, deadlineMs);
      case 'idle':
        return this.#waitFor(this.#start(headers), deadlineMs);
    }
  }

  call(call: BackendCall): RunningCall {
    let running: RunningCall | undefined;
    let cancelled = false;
    // What certainly did not run is begun once more, in a session that the backend knows.
    const begin = (mayRepeat: boolean) => {
      if (cancelled) return;
      const state = this.#state;
      if (state.kind === 'open' || (state.kind === 'opening' && call.isPreparation)) {
        const again = mayRepeat ? () => begin(false) : undefined;
        // Begun from a promise or an event, where nobody catches: what a client sent must not end the worker.
        try {
          running = state.channel.call(call, this.#parts.timeoutMs, again);
        } catch (error) {
          call.sink.fail(toGatewayError(error));
        }
        return;
      }
      this.open(call.deadlineMs, call.headers).then(
        () => begin(mayRepeat),
        (error: unknown) => {
          if (!cancelled) call.sink.fail(toGatewayError(error));
        },
      );
    };
    begin(true);
    return {
      get mayHaveRun() {
        return running?.mayHaveRun ?? false;
      },
      cancel: (reason, notify) => {
        cancelled = true;
        running?.cancel(reason, notify);
      },
    };
  }

  async notify(message: JsonRpcNotification, headers: Headers): Promise<void> {
    // The handshake is ours: a backend that hears of it twice may take it for a second client.
    if (this.#state.kind === 'open' && message.method !== 'notifications/initialized') {
      await this.#state.channel.notify(message, headers);
    }
  }

  /** Nothing to do: an answer finds the channel that asked; one that an earlier owner asked through died with that. */
  async respond(): Promise<void> {}

  /** Nothing to do: notifications come on the same channel as the answers. */
  setListening(_listening: boolean): void {}

  close(error: GatewayError): void {
    if (this.#state.kind === 'closed') return;
    this.#state = { kind: 'closed', error };
    for (const channel of this.#channels) channel.close(error);
  }

  #waitFor(opened: Promise<BackendInfo>, deadlineMs: number): Promise<BackendInfo> {
    const { clock } = this.#parts;
    return new Promise((resolve, reject) => {
      const leftMs = Math.max(0, Math.min(deadlineMs - clock.monotonicMs(), MAX_TIMER_MS));
      const timer = clock.after(leftMs, () => reject(timedOut(this.backend, { step: 'start' })));
      opened.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  #start(headers: Headers): Promise<BackendInfo> {
    // Opening it is an act that others can see.
    if (!this.#host.mayAct()) return Promise.reject(new GatewayError('NOT_OWNER'));
    const channel: Channel = this.#parts.open({
      host: this.#host,
      headers,
      onLost: (reason) => this.#onLost(channel, reason),
    });
    this.#channels.add(channel);
    this.#parts.watch(this, channel.gone);
    channel.gone.then(() => this.#channels.delete(channel));
    const opened = this.#open(channel, headers);
    this.#state = { kind: 'opening', channel, opened };
    return opened;
  }

  async #open(channel: Channel, headers: Headers): Promise<BackendInfo> {
    try {
      const { name, clock, clientInfo, startTimeoutMs } = this.#parts;
      const deadlineMs = clock.monotonicMs() + startTimeoutMs;
      await channel.ready(deadlineMs);
      const capabilities = this.#host.clientCapabilities ?? {};
      const info = await initialize({ backend: name, channel, clientInfo, capabilities, headers, deadlineMs });
      const generation = this.#record?.generation ?? 0;
      const record = this.#makeRecord(generation + 1, info);
      const saved = await this.#host.save(generation, record);
      // Closed, or dead, while Redis was asked.
      if (saved === 'saved') this.#record = record;
      if (channel.failure) throw channel.failure;
      if (saved !== 'saved' || !this.#host.mayAct()) throw new GatewayError('NOT_OWNER');
      channel.agreed(info.protocolVersion);
      const refused = await channel.notify({ jsonrpc: '2.0', method: 'notifications/initialized' }, headers);
      const failure = channel.failure ?? refused;
      if (failure) throw failure;
      this.#host.health?.opened();
      this.#info = info;
      this.#parts.onInfo(info);
      const prepared = this.#host.opened?.(info, headers);
      if (prepared) {
        await prepared;
        // Closed, or dead, meanwhile.
        if (channel.failure) throw channel.failure;
      }
      this.#state = { kind: 'open', channel, info };
      return info;
    } catch (error) {
      const known = toGatewayError(error);
      if (this.#state.kind !== 'closed' && known.code !== 'NOT_OWNER') {
        this.#host.health?.openFailed(known);
        channel.noteFailedOpening(known);
      }
      if (this.#state.kind === 'opening' && this.#state.channel === channel) this.#state = { kind: 'idle' };
      channel.close(known);
      throw known;
    }
  }

  /** Nothing of it can be passed on, so it holds nothing that another worker could use. */
  #makeRecord(generation: number, { protocolVersion, capabilities }: BackendInfo): BackendSessionRecord {
    const { keyring, transport } = this.#parts;
    const context = `${this.#host.sessionRef}/${this.backend}`;
    const sealed = seal(keyring, JSON.stringify({ id: '', headers: {} }), context);
    return { generation, sealed, protocolVersion, capabilities, transport };
  }

  #onLost(channel: Channel, reason: string): void {
    // During the opening nothing was lost yet: that attempt fails, the next call tries again.
    if (this.#state.kind !== 'open' || this.#state.channel !== channel) return;
    if (this.#parts.onStateLoss === 'fail') {
      this.#loseState(reason);
      return;
    }
    this.#state = { kind: 'idle' };
    this.#host.onChannelLost?.();
  }

  #loseState(reason: string): void {
    if (this.#state.kind === 'closed') return;
    this.close(new GatewayError('SESSION_NOT_FOUND'));
    this.#host.onStateLost(reason);
  }
}
