// The connections to one backend, and what all of its sessions share. One per worker and backend.
import type { LookupFunction } from 'node:net';
import { type buildConnector, Client, type Dispatcher, Pool } from 'undici';
import type { Config, HttpBackendConfig, SseBackendConfig } from '../../config/schema.js';
import type { Clock } from '../../lifecycle/clock.js';
import type { Implementation } from '../../protocol/mcp.js';
import type { Keyring } from '../../secrets/keyring.js';
import type { BackendInfo } from '../backend.js';
import { type Credentials, NO_CREDENTIALS } from '../credentials/credentials.js';
import { makeConnector } from './address-guard.js';
import { CallQueue, type CallQueues } from './call-queue.js';
import { Deadlines } from './deadlines.js';
import { HeaderPlan } from './headers.js';
import { PausedCalls } from './paused-calls.js';
import { placeOf } from './sealed-session.js';
import type { ReplyHandler } from './reply-handler.js';

/** The little of a pino logger that is used here. */
export interface BackendLogger {
  warn(fields: object, message: string): void;
}

/** What is reached over HTTP, whatever is said there. */
export type RemoteConfig = SseBackendConfig | HttpBackendConfig;

export interface HttpTransportOptions {
  readonly name: string;
  readonly config: RemoteConfig;
  readonly limits: Pick<Config['limits'], 'connectTimeout' | 'reinitializeTimeout'>;
  readonly keyring: Keyring;
  readonly clock: Clock;
  /** Version that `clientInfo` tells the backend. */
  readonly version: string;
  readonly logger?: BackendLogger;
  /** Closed with the backend; default none besides the configured headers. */
  readonly credentials?: Credentials;
  /** Connections for calls; default 128. A long call holds one, so fewer would let slow calls starve the quick ones. */
  readonly connections?: number;
  /** How long an idle connection is kept at most, whatever the backend's `Keep-Alive` says, ms; default 20 000. */
  readonly maxIdleMs?: number;
  /** Where the calls that wait for a connection are to be seen, while this lives. */
  readonly callQueues?: CallQueues;
  /** A lost session was opened anew. */
  readonly onReinitialized?: (backend: string) => void;
  /** Resolver of names; default the system's. */
  readonly lookup?: LookupFunction;
}

export interface HttpBackendOptions extends HttpTransportOptions {
  readonly config: HttpBackendConfig;
}

const CALL_CONNECTIONS = 128;
/**
 * No longer: undici counts time in ticks of half a second, each late by as much as the event loop, so that a minute comes out seconds late
 * in a busy worker; and balancers between, of whom the hint does not speak, mostly close after a minute.
 */
const MAX_IDLE_MS = 20_000;
/** Apart from those for calls: calls may wait for what goes here (answers, cancellations), so they must not fill it up. */
const CONTROL_CONNECTIONS = 16;
/** Calls that may wait for a connection; beyond that they fail at once. */
const MAX_WAITING = 1000;

export class HttpTransport {
  readonly name: string;
  readonly config: RemoteConfig;
  readonly clock: Clock;
  readonly keyring: Keyring;
  readonly logger: BackendLogger | undefined;
  readonly clientInfo: Implementation;
  readonly onReinitialized: ((backend: string) => void) | undefined;
  readonly reinitializeTimeoutMs: number;
  readonly url: URL;
  readonly path: string;
  /** What a sealed session keeps of the URL. */
  readonly place: string;
  readonly plan: HeaderPlan;
  readonly credentials: Credentials;
  readonly deadlines: Deadlines;
  readonly paused: PausedCalls;
  readonly lostPattern: RegExp | undefined;
  readonly control: Pool;
  lastInfo: BackendInfo | undefined;
  readonly #origin: string;
  readonly #connect: buildConnector.connector;
  readonly #calls: Pool;
  readonly #queue: CallQueue;
  readonly #callQueues: CallQueues | undefined;

  constructor(options: HttpTransportOptions) {
    const url = new URL(options.config.url);
    this.name = options.name;
    this.config = options.config;
    this.clock = options.clock;
    this.keyring = options.keyring;
    this.logger = options.logger;
    this.clientInfo = { name: 'berth', version: options.version };
    this.onReinitialized = options.onReinitialized;
    this.reinitializeTimeoutMs = options.limits.reinitializeTimeout;
    this.url = url;
    this.path = `${url.pathname}${url.search}`;
    this.place = placeOf(options.config.url);
    this.plan = new HeaderPlan(options.name, options.config, url);
    this.credentials = options.credentials ?? NO_CREDENTIALS;
    this.deadlines = new Deadlines(options.clock);
    const pattern = options.config.type === 'http' ? options.config.lostSessionPattern : undefined;
    this.lostPattern = pattern ? new RegExp(pattern, 'i') : undefined;
    this.#origin = url.origin;
    this.#connect = makeConnector(url, options.limits.connectTimeout, options.lookup);
    const connections = options.connections ?? CALL_CONNECTIONS;
    this.#calls = this.#makePool(connections, options.maxIdleMs);
    this.#queue = new CallQueue(connections);
    this.#callQueues = options.callQueues?.add(this.#queue);
    this.paused = new PausedCalls(options.clock, () => {
      const { waiting } = this.#queue;
      // Asked with each chunk that a caller does not take at once: the question to undici goes through all connections.
      return waiting > 0 && this.#isFull(connections) ? waiting : 0;
    });
    this.control = this.#makePool(CONTROL_CONNECTIONS, options.maxIdleMs);
  }

  /** Sends a call, or queues it for a connection. @returns false if too many wait already: then nothing happened */
  dispatchCall(options: Dispatcher.DispatchOptions, handler: ReplyHandler): boolean {
    if (this.#queue.waiting >= MAX_WAITING) return false;
    this.#queue.waiting++;
    handler.queue = this.#queue;
    this.#calls.dispatch(options, handler);
    if (this.#queue.waiting > 0) this.paused.relieve();
    return true;
  }

  /** Opens a GET stream on a connection of its own; whoever ends the stream destroys the client. */
  openStream(headers: string[], handler: ReplyHandler): Client {
    const client = new Client(this.#origin, { connect: this.#connect, headersTimeout: 0, bodyTimeout: 0 });
    client.dispatch({ method: 'GET', path: this.path, headers, reset: true }, handler);
    return client;
  }

  async close(): Promise<void> {
    this.#callQueues?.delete(this.#queue);
    this.deadlines.close();
    this.paused.close();
    this.credentials.close();
    await Promise.all([this.#calls.destroy(), this.control.destroy()]);
  }

  /** Whoever waits for his own connection to be made gains nothing by that of another. */
  #isFull(connections: number): boolean {
    const { running, pending } = this.#calls.stats;
    return running + pending >= connections;
  }

  #makePool(connections: number, maxIdleMs = MAX_IDLE_MS): Pool {
    return new Pool(this.#origin, {
      connect: this.#connect,
      connections,
      pipelining: 1,
      // Streams are quiet for as long as they like; calls have deadlines of their own.
      headersTimeout: 0,
      bodyTimeout: 0,
      // Idle connections are closed by us before the backend does it under a request: its hint less 1 s, or 4 s if it gives none.
      keepAliveTimeout: 4000,
      keepAliveMaxTimeout: maxIdleMs,
      keepAliveTimeoutThreshold: 1000,
    });
  }
}
