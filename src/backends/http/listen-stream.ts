// Keeps a GET stream to the backend while the client listens: reconnects with Last-Event-ID, backs off, gives up where none is
// offered, and finds out whether a 404 means a lost session.
import type { Timer } from '../../lifecycle/clock.js';
import { isBatch, takeEach } from '../../protocol/batch.js';
import { scanMessage } from '../../protocol/scan-json.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendSessionHost } from '../backend.js';
import type { BackendRequest } from './call-session.js';
import type { OpenState } from './open-state.js';
import { type StreamOwner, StreamRequest } from './stream-request.js';
import type { HttpTransport } from './transport.js';

/** The stream outlives the client's by this much: what comes meanwhile waits in the ring of the session. */
const LINGER_MS = 60_000;
const RECONNECT_MS = 1000;
const MAX_BACK_OFF_MS = 60_000;
/** How long a stream waits for a credential before it backs off. */
const CREDENTIAL_MS = 30_000;

export interface ListeningSession {
  readonly transport: HttpTransport;
  readonly host: BackendSessionHost;
  /** The session in force, if it is open. */
  readonly current: OpenState | undefined;
  asked(state: OpenState, request: BackendRequest, headers: Headers): void;
  translate(json: Buffer): Buffer | string;
  /** Asks the backend something harmless; recovers a lost session on the way. Never rejects. */
  probe(): Promise<void>;
}

export class ListenStream implements StreamOwner {
  readonly #session: ListeningSession;
  #wanted = false;
  #request: StreamRequest | undefined;
  #timer: Timer | undefined;
  #lingerTimer: Timer | undefined;
  #backOffMs = RECONNECT_MS;
  #lastEventId: string | undefined;
  /** The generation that answered that it offers no stream. */
  #notOfferedBy: number | undefined;
  /** The generation the stream belongs to. */
  #generation = 0;
  #client: Headers | undefined;

  constructor(session: ListeningSession) {
    this.#session = session;
  }

  /** Client headers that the stream and answers to its requests are sent with; those of the latest GET of the client. */
  get client(): Headers {
    return this.#client ?? this.#session.current?.headers ?? {};
  }

  setListening(listening: boolean, headers?: Headers): void {
    if (headers) this.#renew(headers);
    this.#lingerTimer?.cancel();
    this.#lingerTimer = undefined;
    if (listening) {
      this.#wanted = true;
      this.#connect();
    } else if (this.#wanted) {
      this.#lingerTimer = this.#session.transport.clock.after(LINGER_MS, () => this.stop());
    }
  }

  /** A stream that lingers for another client, or for the same one with other headers, is opened anew with those of this request. */
  #renew(headers: Headers): void {
    const { plan } = this.#session.transport;
    const before = JSON.stringify(plan.withForwarded(this.client));
    this.#client = headers;
    if (!this.#request || before === JSON.stringify(plan.withForwarded(headers))) return;
    this.#lastEventId = this.#request.lastEventId;
    this.#drop();
  }

  /** The session was opened, or opened anew: a stream of the old one tells nothing of it. */
  sessionOpened(): void {
    if (!this.#wanted) return;
    this.#drop();
    this.#backOffMs = RECONNECT_MS;
    this.#connect();
  }

  /** The backend is back: the next attempt need not wait out a back-off of up to a minute. */
  hurry(withinMs: number): void {
    if (!this.#timer) return;
    this.#timer.cancel();
    this.#backOffMs = RECONNECT_MS;
    this.#later(withinMs);
  }

  stop(): void {
    this.#wanted = false;
    this.#lingerTimer?.cancel();
    this.#lingerTimer = undefined;
    this.#drop();
  }

  #drop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#request?.stop();
    this.#request = undefined;
  }

  #connect(): void {
    const { transport, host, current } = this.#session;
    if (!this.#wanted || this.#request || this.#timer || !current || this.#notOfferedBy === current.generation) return;
    // Event ids belong to the session that issued them.
    if (this.#generation !== current.generation) this.#lastEventId = undefined;
    this.#generation = current.generation;
    const { credentials } = transport;
    const credential = credentials.current();
    if (credential === undefined && credentials.isDynamic) {
      this.#awaitCredential();
      return;
    }
    const headers = transport.plan.withForwarded(this.client);
    this.#request = new StreamRequest(transport, host, current, { headers, credential }, this.#lastEventId, this);
    this.#request.start();
  }

  #awaitCredential(): void {
    const { transport } = this.#session;
    // Holds the place of the request: nothing else may connect meanwhile.
    this.#timer = transport.clock.after(CREDENTIAL_MS, () => undefined);
    const timer = this.#timer;
    const goOn = (delayMs: number) => {
      if (this.#timer !== timer) return;
      timer.cancel();
      this.#timer = undefined;
      if (delayMs === 0) this.#connect();
      else this.#later(delayMs);
    };
    transport.credentials.ensure(transport.clock.monotonicMs() + CREDENTIAL_MS).then(
      () => goOn(0),
      () => {
        goOn(this.#backOffMs);
        this.#backOffMs = Math.min(this.#backOffMs * 2, MAX_BACK_OFF_MS);
      },
    );
  }

  onStreamMessage(json: Buffer): void {
    const { host, current } = this.#session;
    const message = scanMessage(json);
    if (message.kind === 'notification') host.onNotification(this.#session.translate(json));
    else if (message.kind === 'request' && current) this.#session.asked(current, { ...message, json }, this.client);
    else if (message.kind === 'invalid' && isBatch(json)) takeEach(json, (one) => this.onStreamMessage(one));
  }

  onStreamEnd(request: StreamRequest, status: number | undefined): void {
    if (this.#request !== request) return;
    this.#request = undefined;
    if (!this.#wanted) return;
    this.#lastEventId = request.lastEventId;
    if (status === 405 || status === 501) {
      this.#notOfferedBy = this.#generation;
      return;
    }
    if (status === 404 || status === 400) {
      this.#verify();
      return;
    }
    const isFine = status === 200 && request.hadEvents;
    if (isFine) this.#backOffMs = RECONNECT_MS;
    this.#later(Math.max(request.retryMs ?? 0, isFine && request.retryMs !== undefined ? 0 : this.#backOffMs));
    if (!isFine) this.#backOffMs = Math.min(this.#backOffMs * 2, MAX_BACK_OFF_MS);
  }

  #later(delayMs: number): void {
    this.#timer = this.#session.transport.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#connect();
    });
  }

  /**
   * 404 (400 of most servers in the field) means a lost session, or a server that has no GET at this path. To initialize anew for the
   * second would repeat for ever; so a ping tells: if the session is lost, its answer starts the recovery like that of any call.
   */
  #verify(): void {
    const generation = this.#generation;
    void this.#session.probe().then(() => {
      const { current } = this.#session;
      if (!this.#wanted || !current || current.generation !== generation || this.#request || this.#timer) return;
      this.#notOfferedBy = generation;
    });
  }
}
