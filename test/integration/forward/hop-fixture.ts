// A forwarder and a listener joined by real sockets, and a caller whose answer records what reaches it.
import { readMessage } from '../../../src/edge/read-message.js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lease } from '../../../src/directory/directory.js';
import type { ExchangeHandler, ForwardOutcome, InternalListener } from '../../../src/forward/forward.js';
import type { HopLimits } from '../../../src/forward/limits.js';
import { type InternalListenOptions, listenInternally } from '../../../src/forward/listener.js';
import { type ForwarderOptions, Peers } from '../../../src/forward/peers.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { type Epoch, mintWorkerId } from '../../../src/protocol/ids.js';
import type { JsonRpcRequest } from '../../../src/protocol/json-rpc.js';
import { type Keyring, makeKeyring } from '../../../src/secrets/keyring.js';
import type { Answer, Exchange, Headers, Hop } from '../../../src/streams/exchange.js';
import { newNote } from '../../../src/streams/exchange.js';

export const TAKE: Hop = { kind: 'take' };
export const named = (owner: string, epoch: number): Hop => ({
  kind: 'named',
  token: { owner: owner as never, epoch: epoch as Epoch },
});

/** The caller's side: reads as fast as `reads` says. */
export class RecordedAnswer implements Answer {
  status = 0;
  headers: Headers = {};
  chunks: Buffer[] = [];
  bytes = 0;
  sent = false;
  started = false;
  finished = false;
  destroyed = false;
  /** false: every write says that it is enough. */
  reads = true;
  #drain: (() => void) | undefined;

  send(status: number, headers: Headers, body?: Buffer | string): void {
    this.start(status, headers);
    this.sent = true;
    if (body !== undefined) this.write(body);
    this.end();
  }
  start(status: number, headers: Headers): void {
    if (this.started) throw new Error('answered twice');
    this.started = true;
    this.status = status;
    this.headers = headers;
  }
  write(chunk: Buffer | string): boolean {
    if (this.finished) throw new Error('write after the end');
    const bytes = Buffer.from(chunk as string);
    this.chunks.push(bytes);
    this.bytes += bytes.length;
    return this.reads;
  }
  end(): void {
    this.finished = true;
  }
  destroy(): void {
    this.destroyed = true;
    this.finished = true;
  }
  onDrain(listener: () => void): void {
    this.#drain = listener;
  }
  read(): void {
    this.reads = true;
    this.#drain?.();
  }
  get body(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

export interface Call {
  readonly exchange: Exchange;
  readonly answer: RecordedAnswer;
  abort(): void;
}

export interface CallParts {
  readonly method?: Exchange['method'];
  readonly serverId?: string;
  readonly headers?: Headers;
  readonly params?: Record<string, unknown>;
  readonly id?: number;
  readonly deadlineMs?: number;
  /** Sent instead of a message's own text. */
  readonly bytes?: Buffer;
}

export function makeCall(parts: CallParts = {}): Call {
  const answer = new RecordedAnswer();
  const listeners: Array<() => void> = [];
  let aborted = false;
  const message: JsonRpcRequest = { jsonrpc: '2.0', id: parts.id ?? 1, method: 'tools/call', params: parts.params ?? {} };
  const method = parts.method ?? 'POST';
  return {
    answer,
    abort() {
      aborted = true;
      for (const listener of listeners.splice(0)) listener();
    },
    exchange: {
      method,
      serverId: parts.serverId ?? 'support',
      headers: parts.headers ?? { accept: 'application/json, text/event-stream', 'mcp-session-id': 'x'.repeat(32) },
      body:
        method === 'POST' ? { kind: 'request', message, bytes: parts.bytes ?? Buffer.from(JSON.stringify(message)) } : undefined,
      principal: { name: 'issuer alice', digest: 'd'.repeat(22) },
      deadlineMs: parts.deadlineMs ?? systemClock.monotonicMs() + 60_000,
      hop: undefined,
      get isReattached() {
        return answer.started;
      },
      answer,
      startedMs: systemClock.monotonicMs(),
      note: { ...newNote('POST', undefined), method: 'tools/call' },
      get aborted() {
        return aborted;
      },
      onAbort(listener) {
        if (aborted) listener();
        else listeners.push(listener);
      },
    },
  };
}

export interface HopOptions {
  readonly handler?: ExchangeHandler;
  readonly over?: 'unix' | 'tls';
  readonly limits?: Partial<HopLimits>;
  readonly listenLimits?: Partial<HopLimits>;
  readonly listen?: Partial<InternalListenOptions>;
  readonly forwarder?: Partial<ForwarderOptions>;
  readonly ownerKeys?: Keyring;
  readonly forwarderKeys?: Keyring;
}

export interface Hopping {
  readonly listener: InternalListener;
  readonly forwarder: Peers;
  readonly lease: Lease;
  readonly refused: string[];
  readonly closed: string[];
  readonly handlerErrors: unknown[];
  forward(call: Call, hop?: Hop): Promise<ForwardOutcome>;
  close(): Promise<void>;
}

export const KEYS = makeKeyring(['the secret of this cluster']);

export function makeLease(parts: Partial<Lease>): Lease {
  return {
    id: mintWorkerId('w'),
    index: 1,
    pid: 1,
    pod: 'pod-a',
    host: 'h',
    unixSocket: '/nowhere',
    draining: false,
    startedMs: 0,
    ...parts,
  };
}

export function makeSocketPath(): { path: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'berth-hop-'));
  return { path: join(directory, 'w.sock'), remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** Answers with the request's own body. */
export const echo: ExchangeHandler = (exchange) =>
  exchange.answer.send(200, { 'content-type': 'application/json' }, exchange.body?.bytes);

export async function startHop(options: HopOptions = {}): Promise<Hopping> {
  const tls = options.over === 'tls';
  const socket = makeSocketPath();
  const refused: string[] = [];
  const closed: string[] = [];
  const handlerErrors: unknown[] = [];
  const listener = await listenInternally({
    unixSocket: socket.path,
    tcp: tls ? { host: '127.0.0.1', ports: [0] } : undefined,
    keyring: options.ownerKeys ?? KEYS,
    clock: systemClock,
    handler: options.handler ?? echo,
    readMessage,
    onRefused: (reason) => refused.push(reason),
    onHandlerError: (error) => handlerErrors.push(error),
    limits: { ...options.limits, ...options.listenLimits },
    ...options.listen,
  });
  const forwarder = new Peers({
    ownPod: tls ? 'pod-b' : 'pod-a',
    keyring: options.forwarderKeys ?? KEYS,
    clock: systemClock,
    limits: options.limits,
    onConnectionClosed: (_kind, reason) => closed.push(reason),
    ...options.forwarder,
  });
  const lease = makeLease({ unixSocket: listener.unixSocket, tcp: listener.tcp });
  return {
    listener,
    forwarder,
    lease,
    refused,
    closed,
    handlerErrors,
    forward: (call, hop = TAKE) => forwarder.forward(call.exchange, lease, hop),
    async close() {
      await forwarder.close(0);
      await listener.close(0);
      socket.remove();
    },
  };
}
