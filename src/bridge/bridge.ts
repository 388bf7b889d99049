// A client on stdin and stdout, a gateway over HTTP: what each line of the client means for the session and for what runs.
import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { GatewayError } from '../errors/gateway-error.js';
import type { Clock } from '../lifecycle/clock.js';
import { errorText } from '../protocol/json-rpc.js';
import { Call, type CallFacts } from './call.js';
import { endBridge, endSession } from './end.js';
import { GatewayHttp } from './http.js';
import { Input } from './input.js';
import { Listener } from './listener.js';
import { cancelledId, type Incoming, isSafeMethod } from './message.js';
import { Notes } from './notes.js';
import { Output } from './output.js';
import { Post } from './post.js';
import { Relay } from './relay.js';
import { Sender } from './sender.js';
import { BridgeSession } from './session.js';
import { Traffic } from './traffic.js';

export interface BridgeSettings {
  readonly url: URL;
  /** Sent with every request, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** How long a request that has not begun waits for the gateway. */
  readonly patienceMs: number;
}

export interface BridgeStreams {
  readonly stdin: Readable;
  readonly stdout: Writable;
  /** Diagnostics. */
  readonly note: (text: string) => void;
}

/** A cancelled call whose server stays silent keeps its connection for that long. */
const CANCELLED_LINGER_MS = 5000;
/** The one version with arrays of messages. */
const BATCH_VERSION = '2025-03-26';

export class Bridge {
  readonly #clock: Clock;
  readonly #relay: Relay;
  readonly #session: BridgeSession;
  readonly #sender: Sender;
  readonly #output: Output;
  readonly #traffic: Traffic;
  readonly #end: (graceMs: number) => Promise<void>;
  #ending: Promise<void> | undefined;
  #onEnded: (() => void) | undefined;
  /** What every later message waits for: that initialize, then notifications/initialized is answered. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Notifications arrive in the order in which they were sent. */
  #lastNotification: Promise<unknown> = Promise.resolve();

  constructor(settings: BridgeSettings, streams: BridgeStreams, clock: Clock) {
    const { patienceMs } = settings;
    const notes = new Notes(clock, streams.note);
    const http = new GatewayHttp(settings.url, settings.headers);
    const output = new Output(streams.stdout, () => void this.end(0));
    const relay = new Relay(output, notes);
    const post = new Post({ http, relay, clock, patienceMs });
    const listener = new Listener({ http, relay, clock, notes, probe: () => this.#probe() });
    const session = new BridgeSession({
      post,
      relay,
      clock,
      notes,
      patienceMs,
      onReady: (state) => listener.start(state),
      onReplaced: (state) => void endSession(http, state.headers, clock),
    });
    this.#clock = clock;
    this.#relay = relay;
    this.#output = output;
    this.#session = session;
    this.#sender = new Sender({ post, session, relay, clock, notes, patienceMs });
    const input = new Input(
      streams.stdin,
      (message, bytes) => this.#take(message, bytes),
      () => void this.end(GRACE_MS),
    );
    this.#traffic = new Traffic((paused) => input.setPaused(paused));
    this.#end = (graceMs) => endBridge({ http, relay, session, listener, output, clock, traffic: this.#traffic }, graceMs);
  }

  /** Resolves when the bridge has ended, whatever ended it. */
  get ended(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEnded = resolve;
    });
  }

  /** Ends the session and everything else. @param graceMs for answers that are under way */
  end(graceMs: number): Promise<void> {
    this.#ending ??= this.#end(graceMs).finally(() => this.#onEnded?.());
    return this.#ending;
  }

  #take(incoming: Incoming, bytes: Buffer): void {
    switch (incoming.kind) {
      case 'refused':
        void this.#output.write(incoming.answer);
        return;
      case 'request':
        this.#takeRequest(incoming, bytes);
        return;
      case 'notification':
        this.#takeNotification(incoming.method, incoming.message, bytes);
        return;
      case 'response': {
        const { id } = incoming;
        const refusal = () => (this.#relay.isOfEarlierSession(id, this.#session.current.generation) ? 'skip' : undefined);
        this.#runOther({ bytes, what: 'response', ids: [], isSafe: true, refusal }, this.#turn);
        return;
      }
      case 'batch': {
        const isSafe = incoming.methods.every(isSafeMethod);
        const refusal = () =>
          this.#session.version === BATCH_VERSION ? undefined : new GatewayError('BATCH_UNSUPPORTED').toJsonRpc();
        const facts: CallFacts = { bytes, what: 'batch', ids: incoming.ids, isSafe, refusal };
        if (incoming.ids.some((id) => this.#relay.isPending(id))) this.#refuseUsedId();
        else if (incoming.ids.length > 0) this.#runRequest(new Call(facts));
        else this.#runOther(facts, this.#turn);
        return;
      }
    }
  }

  #takeRequest({ id, method, message }: Incoming & { kind: 'request' }, bytes: Buffer): void {
    if (this.#relay.isPending(id)) {
      this.#refuseUsedId();
      return;
    }
    if (method !== 'initialize') {
      this.#runRequest(new Call({ bytes, what: method, ids: [id], isSafe: isSafeMethod(method) }));
      return;
    }
    const call = this.#session.initializeCall(message, bytes, (text) => this.#output.write(text));
    this.#turn = this.#runRequest(call);
  }

  #takeNotification(method: string, message: Record<string, unknown>, bytes: Buffer): void {
    const facts = { bytes, what: method, ids: [], isSafe: true };
    if (method === 'notifications/cancelled') {
      // Ahead of all others: it must not wait for what it is about.
      if (!this.#cancel(message)) this.#runOther(facts, this.#turn);
      return;
    }
    const turn = Promise.all([this.#turn, this.#lastNotification]);
    const done = this.#runOther(facts, turn, () => {
      if (method === 'notifications/initialized') this.#session.confirm();
    });
    this.#lastNotification = done;
    if (method === 'notifications/initialized') this.#turn = done;
  }

  /** @returns true if the gateway need not hear of it: the request has not left, and now never will */
  #cancel(message: Record<string, unknown>): boolean {
    const id = cancelledId(message);
    const call = id === undefined ? undefined : this.#relay.find(id);
    // A batch goes on for the others in it; initialize cannot be cancelled.
    if (!call || call.facts.ids.length > 1 || call.facts.opensSession) return false;
    call.isCancelled = true;
    if (call.sent) {
      this.#clock.after(CANCELLED_LINGER_MS, () => call.abort());
      return false;
    }
    this.#relay.remove(call);
    call.abort();
    return true;
  }

  #runRequest(call: Call): Promise<void> {
    const turn = this.#turn;
    this.#relay.add(call);
    return this.#traffic.request(call.facts.bytes.length, () => this.#sender.run(call, turn));
  }

  #runOther(facts: CallFacts, turn: Promise<unknown>, onTaken?: () => void): Promise<void> {
    return this.#traffic.other(facts.bytes.length, async () => {
      if (await this.#sender.run(new Call(facts), turn)) onTaken?.();
    });
  }

  /** Asks for a sign of life in the session. */
  async #probe(): Promise<boolean> {
    const id = `berth-${randomBytes(6).toString('hex')}`;
    const bytes = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' }));
    let isAnswered = false;
    const call = new Call({
      bytes,
      what: 'ping',
      ids: [id],
      isSafe: true,
      onResponse: (text) => {
        isAnswered = text.includes('"result"');
      },
    });
    await this.#runRequest(call);
    return isAnswered;
  }

  #refuseUsedId(): void {
    const error = new GatewayError('INVALID_REQUEST', { message: 'an id is in use by a request without an answer' });
    // With the id it would be taken for the answer of the other.
    void this.#output.write(errorText(undefined, error.toJsonRpc()));
  }
}

/** Time for answers under way when the client closes stdin. */
const GRACE_MS = 2000;
