// Keeps a GET stream to the backend while the client listens: reconnects with Last-Event-ID, backs off, gives up where none is
// offered, and finds out whether a 404 means a lost session.
import type { Timer } from '../../lifecycle/clock.js';
import { isBatch, takeEach } from '../../protocol/batch.js';
import { scanMessage } from '../../protocol/scan-json.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendSessionHost, ListenFrom } from '../backend.js';
import type { BackendRequest } from './call-session.js';
import type { OpenState } from './open-state.js';
import { StreamDoubt } from './stream-doubt.js';
import { type StreamOwner, StreamRequest } from './stream-request.js';
import type { HttpTransport } from './transport.js';

/** The stream outlives the client's by this much: what comes meanwhile waits in the ring of the session. */
const LINGER_MS = 60_000;
const RECONNECT_MS = 1000;
const MAX_BACK_OFF_MS = 60_000;
/** How often a server that fails is asked to go on behind an event, before it is asked for what comes from now on. */
const MAX_FAILED_RESUMES = 3;
/** How long a stream waits for a credential before it backs off. */
const CREDENTIAL_MS = 30_000;

export interface ListeningSession {
  readonly transport: HttpTransport;
  readonly host: BackendSessionHost;
  /** The session in force, if it is open. */
  readonly current: OpenState | undefined;
  asked(state: OpenState, request: BackendRequest, headers: Headers): void;
  translate(method: string, json: Buffer): Buffer | string | undefined;
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
  #failedResumes = 0;
  /** Where it begins is where an earlier owner was: nobody here has seen what came behind it. */
  #isTakenUp = false;
  /** Made with the first stream that is resumed. */
  #doubt: StreamDoubt<StreamRequest> | undefined;
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

  setListening(listening: boolean, headers?: Headers, from?: ListenFrom): void {
    if (headers) this.#renew(headers);
    // One that runs, or waits for its next attempt, is further than that; what it brought is in the ring of the session.
    if (from && (from.again || !this.#wanted)) this.#goOnFrom(from);
    this.#lingerTimer?.cancel();
    this.#lingerTimer = undefined;
    if (listening) {
      this.#wanted = true;
      this.#connect();
    } else if (this.#wanted) {
      this.#lingerTimer = this.#session.transport.clock.after(LINGER_MS, () => this.stop());
    }
  }

  #goOnFrom({ eventId, generation }: ListenFrom): void {
    this.#drop();
    this.#backOffMs = RECONNECT_MS;
    this.#failedResumes = 0;
    this.#generation = generation;
    this.#lastEventId = eventId === '' ? undefined : eventId;
    this.#isTakenUp = this.#lastEventId !== undefined;
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
    this.#doubt?.stop();
    this.#request?.stop();
    this.#request = undefined;
  }

  #connect(): void {
    const { transport, host, current } = this.#session;
    if (!this.#wanted || this.#request || this.#timer || !current || this.#notOfferedBy === current.generation) return;
    // Event ids belong to the session that issued them.
    if (this.#generation !== current.generation) {
      if (this.#isTakenUp) host.onEventsLost?.();
      this.#lastEventId = undefined;
    }
    this.#isTakenUp = false;
    this.#generation = current.generation;
    const { credentials } = transport;
    const credential = credentials.current();
    if (credential === undefined && credentials.isDynamic) {
      this.#awaitCredential();
      return;
    }
    this.#request = this.#makeRequest(current, credential, this.#lastEventId);
    this.#request.start();
  }

  #makeRequest(current: OpenState, credential: string | undefined, lastEventId: string | undefined): StreamRequest {
    const { transport, host } = this.#session;
    const headers = transport.plan.withForwarded(this.client);
    return new StreamRequest(transport, host, current, { headers, credential }, lastEventId, this);
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

  onStreamOpen(request: StreamRequest): void {
    if (this.#doubt?.isProbe(request)) this.#disproved(request);
    else if (request.goesOn) {
      this.#doubt ??= new StreamDoubt(this.#session.transport.clock, (resumed) => this.#makeAnother(resumed));
      this.#doubt.resumed(request, this.#generation);
    }
  }

  /** What tells whether the one that was resumed is alive (see StreamDoubt). */
  #makeAnother(resumed: StreamRequest): StreamRequest | undefined {
    const { current, transport } = this.#session;
    if (this.#request !== resumed || !current || current.generation !== this.#generation) return undefined;
    return this.#makeRequest(current, transport.credentials.current(), undefined);
  }

  /** The other one was opened: it is the stream from now on. */
  #disproved(other: StreamRequest): void {
    const resumed = this.#request;
    this.#doubt?.disproved();
    this.#request = other;
    resumed?.stop();
    this.#session.host.onEventsLost?.();
  }

  onStreamEventId(eventId: string | undefined): void {
    this.#session.host.onEventId?.(eventId);
  }

  onStreamMessage(json: Buffer, eventId: string | undefined): void {
    if (!isBatch(json)) {
      this.onStreamEventId(eventId);
      this.#take(json);
      return;
    }
    // Whoever goes on behind the id of an event gets nothing more of it: only the last message of several may carry it.
    let isTold = false;
    takeEach(json, (one, isLast) => {
      if (isLast || eventId === undefined) {
        this.onStreamEventId(eventId);
        isTold = true;
      }
      this.#take(one);
    });
    if (!isTold) this.onStreamEventId(eventId);
  }

  #take(json: Buffer): void {
    const { host, current } = this.#session;
    const message = scanMessage(json);
    if (message.kind === 'notification') {
      const told = this.#session.translate(message.method, json);
      if (told !== undefined) host.onNotification(told);
    } else if (message.kind === 'request' && current) this.#session.asked(current, { ...message, json }, this.client);
  }

  onStreamEnd(request: StreamRequest, status: number | undefined): void {
    if (this.#doubt?.isProbe(request)) {
      this.#doubt.ended(status, this.#generation);
      return;
    }
    if (this.#request !== request) return;
    this.#doubt?.stop();
    this.#request = undefined;
    if (!this.#wanted) return;
    this.#lastEventId = request.lastEventId;
    if (request.goesOn && this.#cannotGoOn(status)) {
      this.#failedResumes = 0;
      this.#lastEventId = undefined;
      this.#session.host.onEventsLost?.();
      this.#connect();
      return;
    }
    if (status === 405 || status === 501) {
      this.#isNotOffered();
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
      this.#isNotOffered();
    });
  }

  #isNotOffered(): void {
    this.#notOfferedBy = this.#generation;
    this.#session.host.onEventId?.('');
  }

  /** Refused, or failed again and again: what was missed is lost, what comes from now on need not be. */
  #cannotGoOn(status: number | undefined): boolean {
    if (status === undefined || status < 400) {
      this.#failedResumes = 0;
      return false;
    }
    if (status === 501) return true;
    // Of these none is about the event: credentials, the reader before us who has not left yet, haste.
    if (status < 500) return status !== 401 && status !== 403 && status !== 409 && status !== 429;
    return ++this.#failedResumes >= MAX_FAILED_RESUMES;
  }
}
