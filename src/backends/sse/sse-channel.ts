// The channel to one HTTP+SSE server: a GET stream that brings everything, and a POST for each message of ours. Lives as long as the
// stream.
import { forBegunCall, GatewayError, toGatewayError } from '../../errors/gateway-error.js';
import type { Timer } from '../../lifecycle/clock.js';
import { errorText, type JsonRpcNotification } from '../../protocol/json-rpc.js';
import { unwrap } from '../../protocol/batch.js';
import { scanMessage } from '../../protocol/scan-json.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendCall, BackendSessionHost, RunningCall } from '../backend.js';
import type { Channel, Outgoing } from '../channel/channel.js';
import { Dialogue } from '../channel/dialogue.js';
import { obtain } from '../credentials/credentials.js';
import { outcomeUnknown, timedOut, unavailable } from '../failures.js';
import { ControlRequest, type ControlReply, type Sender } from '../http/control-request.js';
import { postHeaders, streamHeaders } from '../http/headers.js';
import { readError } from '../http/lost-session.js';
import { Telling } from '../http/telling.js';
import { statusError } from '../http/transport-error.js';
import type { HttpTransport } from '../http/transport.js';
import { readEndpoint } from './endpoint.js';
import { LegacyStream } from './legacy-stream.js';
import { isLostStream } from './lost-stream.js';

/** How long the answer to a POST is awaited beyond its call: the call's own time-out comes first. */
const POST_GRACE_MS = 5000;

export interface SseChannelOptions {
  readonly transport: HttpTransport;
  readonly host: BackendSessionHost;
  /** Of the client: forwarded ones go with the stream. */
  readonly headers: Headers;
  readonly onLost: (reason: string) => void;
}

export class SseChannel implements Channel {
  readonly #options: SseChannelOptions;
  readonly #transport: HttpTransport;
  readonly #dialogue: Dialogue;
  readonly #stream: LegacyStream;
  readonly #telling: Telling;
  readonly #calls: Sender;
  /** Of POST; known from the endpoint event on. */
  #path: string | undefined;
  #prepared: string[];
  #streamCredential: string | undefined;
  #isAgreed = false;
  /** Why it takes nothing more. */
  #failure: GatewayError | undefined;
  /** The server does not know the stream any more, but may still answer on it what it had begun. */
  #isRetired = false;
  #onReady: ((error: GatewayError | undefined) => void) | undefined;

  /** Asks for the stream. */
  constructor(options: SseChannelOptions) {
    const { transport, host } = options;
    const { name, clock, plan } = transport;
    this.#options = options;
    this.#transport = transport;
    this.#telling = new Telling({ transport, sessionRef: host.sessionRef, mayAct: () => host.mayAct() });
    this.#prepared = postHeaders({}, plan.fixed);
    this.#calls = {
      dispatch(request, handler) {
        if (transport.dispatchCall(request, handler)) return true;
        handler.onError(unavailable(name, 'busy'));
        return false;
      },
    };
    this.#stream = new LegacyStream(transport, this.#streamHeaders(), {
      mayAct: () => host.mayAct(),
      onEndpoint: (named) => this.#takeEndpoint(named),
      onMessage: (json) => this.#dialogue.take(json),
      onEnd: (error) => this.#onEnd(error),
    });
    this.#dialogue = new Dialogue({
      backend: name,
      clock,
      wire: {
        send: (outgoing) => this.#send(outgoing),
        say: (text, client, what) => this.#say(text, client, what),
        pause: () => this.#stream.stopReading(),
        resume: () => this.#stream.readOn(),
      },
      host,
      onStray: () => undefined,
      onQuiet: () => {
        if (this.#isRetired) this.#stream.stop();
      },
    });
  }

  get gone(): Promise<void> {
    return this.#stream.gone;
  }

  get failure(): GatewayError | undefined {
    return this.#failure;
  }

  /** Resolves when the server has named its endpoint. */
  ready(deadlineMs: number): Promise<void> {
    const { name, clock } = this.#transport;
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      let timer: Timer | undefined;
      this.#onReady = (error) => {
        timer?.cancel();
        this.#onReady = undefined;
        if (error) reject(error);
        else resolve();
      };
      if (this.#path !== undefined) return this.#onReady(undefined);
      timer = clock.after(Math.max(0, deadlineMs - clock.monotonicMs()), () =>
        this.#onReady?.(timedOut(name, { step: 'endpoint' })),
      );
    });
  }

  call(call: BackendCall, timeoutMs: number, onNotRun?: () => void): RunningCall {
    if (!this.#failure) return this.#dialogue.call(call, timeoutMs, onNotRun);
    call.sink.fail(this.#failure);
    return { mayHaveRun: false, cancel: () => undefined };
  }

  agreed(protocolVersion: string): void {
    this.#isAgreed = true;
    this.#prepared = postHeaders({ protocolVersion }, this.#transport.plan.fixed);
  }

  notify(message: JsonRpcNotification, headers: Headers): Promise<GatewayError | undefined> {
    return this.#dialogue.notify(message, headers);
  }

  /** Ends the stream, and with it the session at the server: nothing has to be sent for that. */
  close(error: GatewayError): void {
    this.#failure ??= error;
    this.#stream.stop();
    this.#onReady?.(error);
    this.#dialogue.failAll((written) => (written ? forBegunCall(error) : error));
  }

  noteFailedOpening({ code, details }: GatewayError): void {
    this.#log({ code, details }, 'backend session not opened');
  }

  /** The first one counts: another one later would lead half of the session elsewhere. */
  #takeEndpoint(named: string): void {
    if (this.#path !== undefined) return;
    this.#path = readEndpoint(named, this.#transport.url);
    if (this.#path !== undefined) this.#onReady?.(undefined);
    else this.#breakOff(unavailable(this.#transport.name, 'endpoint_refused'));
  }

  async #streamHeaders(): Promise<string[]> {
    const { clock, config, credentials, plan } = this.#transport;
    const credential = await obtain(credentials, clock.monotonicMs() + config.timeout);
    this.#streamCredential = credential;
    return streamHeaders({ credential }, plan.withForwarded(this.#options.headers), undefined);
  }

  #send(outgoing: Outgoing): boolean {
    const { credentials } = this.#transport;
    const credential = credentials.current();
    if (credential !== undefined || !credentials.isDynamic) this.#post(outgoing, credential);
    else
      credentials.ensure(outgoing.deadlineMs).then(
        (obtained) => this.#post(outgoing, obtained),
        (error: GatewayError) => outgoing.onFailed(error),
      );
    return true;
  }

  #post(outgoing: Outgoing, credential: string | undefined): void {
    const { host } = this.#options;
    const { name, deadlines, plan, credentials } = this.#transport;
    const { reply } = new ControlRequest(this.#calls, deadlines, {
      backend: name,
      method: 'POST',
      path: this.#path as string,
      headers: plan.addForwarded(this.#prepared, outgoing.headers, credential),
      body: outgoing.text,
      refusal: () => {
        if (!outgoing.isWanted()) return unavailable(name, 'given_up');
        if (!host.mayAct()) return new GatewayError('NOT_OWNER');
        outgoing.onWritten();
        return undefined;
      },
      deadlineMs: outgoing.deadlineMs + POST_GRACE_MS,
    });
    reply
      .then((answer) => {
        if (answer.status === 401 && credential !== undefined) credentials.refuse(credential);
        this.#judge(outgoing, answer);
      })
      .catch((error: unknown) => outgoing.onFailed(toGatewayError(error)));
  }

  /** 2xx says that the message arrived: the answer comes on the stream, and may have come already. */
  #judge(outgoing: Outgoing, { status, text }: ControlReply): void {
    const { name } = this.#transport;
    const answer = `http_${status}`;
    if (status < 300) {
      // Some servers give it here.
      const said = unwrap(text, outgoing.id);
      const message = said === '' ? undefined : scanMessage(said);
      if (message?.kind === 'response' && message.id === outgoing.id) this.#dialogue.take(Buffer.from(said));
    } else if (this.#isAgreed && isLostStream(status, text)) {
      // Race: where the session ends by it, its calls hear that before this one is told here.
      outgoing.onNotRun();
      this.#retire();
      outgoing.onLost(unavailable(name, 'session_lost', { answer, repeated: true }));
    } else {
      const error = readError(text);
      if (error) this.#dialogue.take(Buffer.from(errorText(outgoing.id, error)));
      else outgoing.onFailed(statusError(name, status));
    }
  }

  #say(text: Buffer | string, client: Headers, what: string): Promise<GatewayError | undefined> {
    const { plan, name } = this.#transport;
    const path = this.#path;
    if (this.#failure || path === undefined) return Promise.resolve(this.#failure ?? unavailable(name, 'busy'));
    return this.#telling.post({ path, headers: (own) => plan.addForwarded(this.#prepared, client, own), text, what });
  }

  #retire(): void {
    if (this.#isRetired || this.#failure) return;
    this.#isRetired = true;
    this.#failure = unavailable(this.#transport.name, 'session_lost');
    this.#options.onLost('the backend lost the session');
    if (this.#dialogue.size === 0) this.#stream.stop();
  }

  #breakOff(error: GatewayError): void {
    this.#stream.stop();
    this.#onEnd(error);
  }

  #onEnd(error: GatewayError): void {
    const { name, credentials } = this.#transport;
    if (error.details?.status === 401 && this.#streamCredential !== undefined) credentials.refuse(this.#streamCredential);
    const reason = String(error.details?.reason ?? error.code);
    if (this.#isAgreed && !this.#failure) this.#log({ reason }, 'the event stream of the backend ended');
    this.#failure ??= error;
    this.#onReady?.(error);
    this.#dialogue.failAll((written) => (written ? outcomeUnknown(name, reason, error) : error));
    this.#options.onLost(`the event stream ended (${reason})`);
  }

  #log(fields: object, message: string): void {
    const { name, logger } = this.#transport;
    logger?.warn({ backend: name, session: this.#options.host.sessionRef, ...fields }, message);
  }
}
