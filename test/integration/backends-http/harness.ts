// What the tests of the HTTP backend share: a backend under test, a host that records, a sink that collects.
import type { LookupFunction } from 'node:net';
import type { BackendCall, BackendSession, BackendSessionHost, CallSink } from '../../../src/backends/backend.js';
import type { Credentials } from '../../../src/backends/credentials/credentials.js';
import { HttpBackend } from '../../../src/backends/http/http-backend.js';
import { configSchema, type HttpBackendConfig } from '../../../src/config/schema.js';
import type { BackendSessionRecord } from '../../../src/directory/directory.js';
import type { GatewayError } from '../../../src/errors/gateway-error.js';
import { type Clock, systemClock } from '../../../src/lifecycle/clock.js';
import type { JsonRpcRequest, RequestId } from '../../../src/protocol/json-rpc.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import type { Headers } from '../../../src/streams/exchange.js';

export const keyring = makeKeyring(['a secret of the tests']);

export interface BackendChoices {
  readonly name?: string;
  readonly connections?: number;
  readonly maxIdleMs?: number;
  readonly connectTimeout?: number;
  readonly reinitializeTimeout?: number;
  readonly lookup?: LookupFunction;
  readonly logged?: object[];
  readonly credentials?: Credentials;
  /** Default that of the system. */
  readonly clock?: Clock;
}

/** Past the schema's own checks: the backend has to keep its promises without them. */
export function makeConfig(url: string, more: Partial<HttpBackendConfig> = {}): HttpBackendConfig {
  return { ...(configSchema.parse({ mcpServers: { b: { type: 'http', url } } }).mcpServers.b as HttpBackendConfig), ...more };
}

export function makeBackend(url: string, config: Partial<HttpBackendConfig> = {}, choices: BackendChoices = {}): HttpBackend {
  return new HttpBackend({
    name: choices.name ?? 'b',
    config: makeConfig(url, config),
    limits: { connectTimeout: choices.connectTimeout ?? 2000, reinitializeTimeout: choices.reinitializeTimeout ?? 5000 },
    keyring,
    clock: choices.clock ?? systemClock,
    version: '1.2.3',
    logger: { warn: (fields, message) => choices.logged?.push({ ...fields, message }) },
    ...(choices.connections === undefined ? {} : { connections: choices.connections }),
    ...(choices.maxIdleMs === undefined ? {} : { maxIdleMs: choices.maxIdleMs }),
    ...(choices.lookup ? { lookup: choices.lookup } : {}),
    ...(choices.credentials ? { credentials: choices.credentials } : {}),
  });
}

export class RecordingHost implements BackendSessionHost {
  readonly sessionRef: string;
  owns = true;
  /** How often the guard was asked. */
  asked = 0;
  refuseSave = false;
  /** Runs before a save is answered. */
  onSave: (() => void | Promise<void>) | undefined;
  readonly saves: Array<{ previous: number; value: BackendSessionRecord }> = [];
  readonly discarded: BackendSessionRecord[] = [];
  readonly notifications: string[] = [];
  readonly losses: string[] = [];

  constructor(sessionRef = 'ref-1') {
    this.sessionRef = sessionRef;
  }

  mayAct(): boolean {
    this.asked++;
    return this.owns;
  }

  async save(previous: number, value: BackendSessionRecord): Promise<'saved' | 'refused'> {
    await this.onSave?.();
    if (this.refuseSave) return 'refused';
    this.saves.push({ previous, value });
    return 'saved';
  }

  readonly confirmations: BackendSessionRecord[] = [];

  confirmed(value: BackendSessionRecord): void {
    this.confirmations.push(value);
  }

  discard(value: BackendSessionRecord): void {
    this.discarded.push(value);
  }

  onNotification(json: Buffer | string): void {
    this.notifications.push(json.toString());
  }

  /** Ids of events outside calls; `lost` where the backend did not go on. */
  readonly events: Array<string | undefined> = [];

  onEventId(eventId: string | undefined): void {
    this.events.push(eventId);
  }

  onEventsLost(): void {
    this.events.push('lost');
  }

  onStateLost(reason: string): void {
    this.losses.push(reason);
  }
}

/** Collects what a call answers, and fails the test run if anything comes after the end. */
export class CollectingSink implements CallSink {
  readonly carriesRequests: boolean = true;
  resume: (() => void) | undefined = undefined;
  readonly messages: string[] = [];
  readonly chunks: Buffer[] = [];
  contentLength: number | undefined;
  /** What `delayed` was told, one after the other. */
  readonly delays: Array<number | undefined> = [];
  bodyStarted = false;
  error: GatewayError | undefined;
  ended = false;
  /** Answers of `message` and `bodyChunk`, one after the other; then true. */
  readonly readiness: boolean[] = [];
  readonly done: Promise<CollectingSink>;
  #resolve!: (sink: CollectingSink) => void;

  constructor() {
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  message(json: Buffer | string, final: boolean): boolean {
    this.#check();
    this.messages.push(json.toString());
    if (final) this.#end();
    return this.readiness.shift() ?? true;
  }

  /** As told: with those that stand alone marked so. */
  readonly marks: string[] = [];

  mark(eventId: string | undefined, isAlone = false): void {
    this.#check();
    this.marks.push(`${eventId}${isAlone ? ' alone' : ''}`);
  }

  delayed(retryMs: number | undefined): void {
    this.delays.push(retryMs);
  }

  bodyStart(contentLength: number | undefined): void {
    this.#check();
    this.bodyStarted = true;
    this.contentLength = contentLength;
  }

  bodyChunk(chunk: Buffer): boolean {
    this.#check();
    this.chunks.push(chunk);
    return this.readiness.shift() ?? true;
  }

  bodyEnd(): void {
    this.#check();
    this.#end();
  }

  fail(error: GatewayError): void {
    this.#check();
    this.error = error;
    this.#end();
  }

  /** The response as parsed JSON, however it came. */
  get response(): {
    id: RequestId;
    result?: { content?: Array<{ text: string }>; isError?: boolean };
    error?: { code: number; message: string; data?: unknown };
  } {
    if (this.error) throw this.error;
    return JSON.parse(this.bodyStarted ? Buffer.concat(this.chunks).toString('utf8') : (this.messages.at(-1) ?? ''));
  }

  get text(): string {
    return this.response.result?.content?.[0]?.text ?? '';
  }

  #check(): void {
    if (this.ended) throw new Error('something came after the end of the call');
  }

  #end(): void {
    this.ended = true;
    this.#resolve(this);
  }
}

export function makeCall(message: JsonRpcRequest, sink: CallSink, withinMs = 5000, headers: Headers = {}): BackendCall {
  return { message, bytes: Buffer.from(JSON.stringify(message)), headers, deadlineMs: performance.now() + withinMs, sink };
}

export function toolCall(id: RequestId, name: string, args: object = {}): JsonRpcRequest {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } };
}

let nextId = 100;

/** Calls a tool and waits for the end of the call. */
export function callTool(
  session: BackendSession,
  name: string,
  args: object = {},
  options: { withinMs?: number; headers?: Headers; id?: RequestId; sink?: CollectingSink; progressToken?: RequestId } = {},
): Promise<CollectingSink> {
  const sink = options.sink ?? new CollectingSink();
  const message = toolCall(options.id ?? ++nextId, name, args);
  const { progressToken } = options;
  const params = progressToken === undefined ? {} : { params: { ...message.params, _meta: { progressToken } } };
  session.call(makeCall({ ...message, ...params }, sink, options.withinMs, options.headers));
  return sink.done;
}
