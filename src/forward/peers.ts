// The forwarder: one kept connection per worker, dialled when first needed, closed when unused.
import type { Lease } from '../directory/directory.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import type { SessionRef, WorkerId } from '../protocol/ids.js';
import type { Keyring } from '../secrets/keyring.js';
import type { Exchange, Hop } from '../streams/exchange.js';
import type { HopConnection } from './connection.js';
import { type DialFailure, type DialOutcome, dial } from './dial.js';
import type { Forwarder, ForwardOutcome } from './forward.js';
import { ForwardedCall } from './forwarded-call.js';
import { DEFAULT_HOP_LIMITS, type HopLimits } from './limits.js';

export interface ForwarderOptions {
  /** `pod` of this worker's lease: workers of it are reached over their Unix sockets. */
  readonly ownPod: string;
  readonly keyring: Keyring;
  readonly clock: Clock;
  /** For socket, handshake and greeting, in milliseconds. Default 2 000. */
  readonly connectTimeoutMs?: number;
  /** A connection without requests for so long is closed, in milliseconds. Default 60 000. */
  readonly idleMs?: number;
  /** Connections at a time; the longest unused one makes room. Default 256. */
  readonly maxPeers?: number;
  readonly limits?: Partial<HopLimits>;
  readonly onDialFailed?: (reason: DialFailure) => void;
  /** Why a connection ended that had been greeted; `fault`: the peer broke the protocol. */
  readonly onConnectionClosed?: (kind: 'closed' | 'lost' | 'fault', reason: string) => void;
}

interface Peer {
  readonly id: WorkerId;
  connection: HopConnection | undefined;
  dialling: Promise<DialOutcome> | undefined;
  usedMs: number;
}

export class Peers implements Forwarder {
  readonly #options: ForwarderOptions;
  readonly #limits: HopLimits;
  readonly #idleMs: number;
  readonly #peers = new Map<WorkerId, Peer>();
  /** Every greeted connection, also those that answer their last requests and take no more. */
  readonly #connections = new Set<HopConnection>();
  /** Calls that wait for a dial. */
  readonly #waiting = new Set<ForwardedCall>();
  readonly #sweep: Timer;
  #closing = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_HOP_LIMITS, ...options.limits };
    this.#idleMs = options.idleMs ?? 60_000;
    this.#sweep = options.clock.every(Math.max(1, this.#idleMs / 4), () => this.#closeUnused());
  }

  /** `answered` with status 0: the caller left before an answer began. */
  forward(exchange: Exchange, to: Lease, hop: Hop): Promise<ForwardOutcome> {
    return new Promise((resolve) => {
      const call = new ForwardedCall(exchange, resolve);
      if (call.isDone) return;
      if (this.#closing) return call.refuse('closing');
      const peer = this.#peerOf(to.id);
      if (!peer) return call.refuse('too_many_peers');
      const nowMs = this.#options.clock.monotonicMs();
      peer.usedMs = nowMs;
      if (peer.connection?.takesRequests) return call.begin(peer.connection, hop, nowMs);
      this.#waiting.add(call);
      this.#connect(peer, to).then((outcome) => {
        this.#waiting.delete(call);
        if (call.isDone) return;
        if (outcome.kind === 'failed') return call.refuse(outcome.reason);
        if (!outcome.connection.takesRequests) return call.refuse(this.#closing ? 'closing' : 'goaway');
        call.begin(outcome.connection, hop, this.#options.clock.monotonicMs());
      });
    });
  }

  cut(session: SessionRef): void {
    const open = [...this.#connections].flatMap((connection) => connection.receivers);
    for (const call of [...this.#waiting, ...open]) if (call instanceof ForwardedCall && call.isOf(session)) call.cut();
  }

  async close(withinMs: number): Promise<void> {
    this.#closing = true;
    this.#sweep.cancel();
    for (const connection of this.#connections) {
      if (connection.openStreams === 0) connection.end();
    }
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.after(withinMs, resolve);
      this.#onEmpty = () => {
        timer.cancel();
        resolve();
      };
      this.#tellIfEmpty();
    });
    for (const connection of [...this.#connections]) connection.close({ kind: 'closed', reason: 'closing' });
  }

  /** Single-flight: whoever comes while a dial is under way waits for that one. */
  #connect(peer: Peer, to: Lease): Promise<DialOutcome> {
    if (peer.dialling) return peer.dialling;
    // An old connection that takes no more requests (ids used up, GOAWAY) goes on answering; it ends when it is idle.
    const old = peer.connection;
    peer.connection = undefined;
    if (old?.openStreams === 0) old.end();
    const { ownPod, keyring, clock } = this.#options;
    let connection: HopConnection | undefined;
    const dialling = dial(
      to,
      { ownPod, keyring, clock, limits: this.#limits, connectTimeoutMs: this.#options.connectTimeoutMs ?? 2000 },
      {
        onOpen: () => {},
        onRequest: () => {
          throw new Error('a dialling side accepts no requests');
        },
        onGoAway: () => {},
        onIdle: () => {
          if (connection && (this.#closing || !connection.takesRequests)) connection.end();
        },
        onClose: ({ kind, reason }) => {
          if (connection) this.#forget(peer, connection);
          this.#options.onConnectionClosed?.(kind, reason);
        },
      },
    ).then((outcome) => {
      peer.dialling = undefined;
      if (outcome.kind === 'failed') {
        this.#options.onDialFailed?.(outcome.reason);
        if (!peer.connection) this.#peers.delete(peer.id);
        this.#tellIfEmpty();
        return outcome;
      }
      connection = outcome.connection;
      // Race: it may have closed between its HELLO and this line; then its onClose has run without knowing it.
      if (connection.isClosed) this.#peers.delete(peer.id);
      else {
        peer.connection = connection;
        this.#connections.add(connection);
        if (this.#closing) connection.end();
      }
      return outcome;
    });
    peer.dialling = dialling;
    return dialling;
  }

  #peerOf(id: WorkerId): Peer | undefined {
    const known = this.#peers.get(id);
    if (known) return known;
    if (this.#peers.size >= (this.#options.maxPeers ?? 256) && !this.#makeRoom()) return undefined;
    const peer: Peer = { id, connection: undefined, dialling: undefined, usedMs: 0 };
    this.#peers.set(id, peer);
    return peer;
  }

  #makeRoom(): boolean {
    let oldest: Peer | undefined;
    for (const peer of this.#peers.values()) {
      if (!peer.dialling && peer.connection?.openStreams === 0 && (!oldest || peer.usedMs < oldest.usedMs)) oldest = peer;
    }
    if (oldest) this.#drop(oldest);
    return oldest !== undefined;
  }

  #closeUnused(): void {
    const beforeMs = this.#options.clock.monotonicMs() - this.#idleMs;
    for (const peer of this.#peers.values()) {
      if (!peer.connection || peer.dialling) continue;
      if (peer.connection.openStreams > 0) peer.usedMs = this.#options.clock.monotonicMs();
      else if (peer.usedMs <= beforeMs) this.#drop(peer);
    }
  }

  #drop(peer: Peer): void {
    this.#peers.delete(peer.id);
    peer.connection?.end();
  }

  #forget(peer: Peer, connection: HopConnection): void {
    this.#connections.delete(connection);
    if (peer.connection === connection) {
      peer.connection = undefined;
      if (!peer.dialling && this.#peers.get(peer.id) === peer) this.#peers.delete(peer.id);
    }
    this.#tellIfEmpty();
  }

  #tellIfEmpty(): void {
    if (this.#connections.size > 0) return;
    for (const peer of this.#peers.values()) {
      if (peer.dialling) return;
    }
    this.#onEmpty?.();
  }
}
