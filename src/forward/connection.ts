// One framed connection between two workers, either end: greeting, streams by id, credit, PING, GOAWAY and the orderly end.
// Knows nothing of exchanges. Whatever it cannot understand closes it, with a reason from a closed list.
import { IdTable } from '../lifecycle/id-table.js';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../lifecycle/clock.js';
import { FRAME, FrameDecoder, type FrameFault } from './frames.js';
import { encodeHello, type HopLimits, type PeerLimits, parseHello } from './limits.js';
import { Outbox } from './outbox.js';
import { Pulse } from './pulse.js';
import { SendBudget } from './send-budget.js';
import { HopStream, type StreamHome, type StreamReceiver } from './stream.js';

/** `fault`: the peer broke the protocol; the rest is the ordinary life of a connection. */
export interface CloseReason {
  readonly kind: 'closed' | 'lost' | 'fault';
  /** From a closed list, fit for a metric label. */
  readonly reason: string;
}

export interface ConnectionEvents {
  /** The peer's HELLO is in: streams may be opened. */
  onOpen(): void;
  /** The accepting side only: a request begins. @returns who reads it */
  onRequest(stream: HopStream): StreamReceiver;
  /** The peer serves nothing further. */
  onGoAway(): void;
  /** The last open stream has ended. */
  onIdle(): void;
  /** Once, after every open stream was told. */
  onClose(reason: CloseReason): void;
}

export interface ConnectionOptions {
  readonly side: 'dialling' | 'accepting';
  readonly limits: HopLimits;
  readonly clock: Clock;
  readonly events: ConnectionEvents;
}

export class HopConnection implements StreamHome {
  readonly outbox: Outbox;
  readonly budget = new SendBudget();
  readonly receiveBytes: number;
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #accepts: boolean;
  readonly #decoder: FrameDecoder;
  readonly #pulse: Pulse;
  readonly #streams = new IdTable<HopStream>();
  #peer: PeerLimits | undefined;
  /** Highest id that was opened (dialling) or seen (accepting). */
  #lastId = 0;
  /** Highest id that is served: Infinity until GOAWAY was sent or came. */
  #lastServed = Number.POSITIVE_INFINITY;
  #ended = false;
  #closed = false;
  #linger: Timer | undefined;
  #onPong: (() => void) | undefined;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#accepts = options.side === 'accepting';
    this.receiveBytes = options.limits.streamBytes;
    this.outbox = new Outbox(socket);
    this.#decoder = new FrameDecoder({
      onFrame: (type, id, payload) => this.#fail(this.#takeFrame(type, id, payload)),
      onData: (id, part) => this.#fail(this.#takeData(id, part)),
    });
    this.#pulse = new Pulse({
      clock: options.clock,
      periodMs: options.limits.pingMs,
      isBusy: () => this.#streams.size > 0,
      ask: () => this.outbox.byte(FRAME.PING, 0, 0),
      lost: () => this.close({ kind: 'lost', reason: 'silent' }),
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#pulse.heard();
      this.#fail(this.#decoder.push(chunk));
    });
    socket.on('end', () => this.#onPeerEnd());
    socket.on('error', () => this.close({ kind: 'lost', reason: 'reset' }));
    socket.on('close', () => this.close({ kind: 'lost', reason: 'reset' }));
    this.#linger = options.clock.after(options.limits.lingerMs, () => this.close({ kind: 'lost', reason: 'hello_timeout' }));
    this.outbox.text(FRAME.HELLO, 0, encodeHello(options.limits));
    // At once, not at the end of the tick: the other side waits for nothing else.
    this.outbox.flush();
  }

  get peer(): PeerLimits | undefined {
    return this.#peer;
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** Who reads the open streams. A copy: streams may end while it is gone through. */
  get receivers(): StreamReceiver[] {
    return Array.from(this.#streams.values(), ({ receiver }) => receiver);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Whether a further request may begin here: greeted, not leaving, ids left. */
  get takesRequests(): boolean {
    return (
      this.#peer !== undefined &&
      !this.#closed &&
      !this.#ended &&
      this.#lastServed === Number.POSITIVE_INFINITY &&
      this.#lastId < this.#options.limits.lastId
    );
  }

  /** Begins a request; only while `takesRequests`. */
  open(receiver: StreamReceiver): HopStream {
    this.#lastId += 1;
    const stream = new HopStream(this.#lastId, this);
    stream.receiver = receiver;
    this.#streams.set(stream.id, stream);
    return stream;
  }

  /** Asks once for a sign that the peer reads and answers. */
  ping(answered: () => void): void {
    if (this.#closed || this.#ended) return;
    this.#onPong = answered;
    this.outbox.byte(FRAME.PING, 0, 0);
  }

  forget(stream: HopStream): void {
    if (!this.#streams.delete(stream.id) || this.#streams.size > 0 || this.#closed) return;
    if (this.#lastServed !== Number.POSITIVE_INFINITY && this.#accepts) this.#endSoon();
    this.#options.events.onIdle();
  }

  /** Accepting side: names the last request that is served; open ones are answered, then the connection is half-closed. */
  goAway(): void {
    if (this.#closed || this.#lastServed !== Number.POSITIVE_INFINITY) return;
    this.#lastServed = this.#lastId;
    this.outbox.uint32(FRAME.GOAWAY, 0, this.#lastServed);
    if (this.#streams.size === 0) this.end();
  }

  /** Half-closes; only when no stream is open. The other end does the same, else the time for that runs out. */
  end(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    this.outbox.end();
    this.#pulse.stop();
    this.#linger?.cancel();
    this.#linger = this.#options.clock.after(this.#options.limits.lingerMs, () =>
      this.close({ kind: 'closed', reason: 'linger_timeout' }),
    );
  }

  /** Ends everything now; every open stream is told that it was lost. */
  close(reason: CloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#decoder.stop();
    this.#pulse.stop();
    this.#linger?.cancel();
    this.#socket.destroy();
    for (const stream of this.#streams.values()) {
      stream.lose('lost', reason.reason);
    }
    this.#options.events.onClose(reason);
  }

  /** The peer broke the protocol. Also for whoever reads a stream and finds that out. */
  fail(reason: string): void {
    this.close({ kind: 'fault', reason });
  }

  #fail(reason: string | undefined): void {
    if (reason !== undefined) this.fail(reason);
  }

  /** Not within the frame that ended the last stream: its caller may still queue something. */
  #endSoon(): void {
    setImmediate(() => {
      if (this.#streams.size === 0) this.end();
    });
  }

  #onPeerEnd(): void {
    // The dialling side ends when all answers are in, the accepting one when all are out: open streams mean that a process died.
    if (this.#streams.size === 0 && !this.#ended) this.end();
    this.close({ kind: this.#streams.size > 0 ? 'lost' : 'closed', reason: 'ended' });
  }

  #takeFrame(type: number, id: number, payload: Buffer): string | FrameFault | undefined {
    if (!this.#peer) return type === FRAME.HELLO ? this.#takeHello(payload) : 'hello_missing';
    switch (type) {
      case FRAME.HELLO:
        return 'hello_repeated';
      case FRAME.PING:
        // A peer that does not read needs no sign of life, and must not make us collect them.
        if (payload[0] === 0 && !this.outbox.isBacked) this.outbox.byte(FRAME.PING, 0, 1);
        else if (payload[0] === 1) this.#onPong?.();
        return undefined;
      case FRAME.GOAWAY:
        return this.#takeGoAway(payload.readUInt32BE(0));
      case FRAME.HEAD:
        if (this.#accepts) return this.#takeRequest(id, payload);
    }
    const stream = this.#streams.get(id);
    // A late frame of a stream that we gave up, or that began after our GOAWAY. An id that never was is a fault.
    if (!stream) return id <= this.#lastId ? undefined : 'stream_unknown';
    switch (type) {
      case FRAME.HEAD:
        return stream.receiver.onHead(payload);
      case FRAME.END:
        return this.#accepts ? stream.receiver.onEnd() : stream.takeAnswerEnd();
      case FRAME.CREDIT:
        return stream.takeCredit(payload.readUInt32BE(0));
      default:
        stream.takeCancel(payload[0] as number);
        return undefined;
    }
  }

  #takeData(id: number, part: Buffer): string | undefined {
    if (!this.#peer) return 'hello_missing';
    const stream = this.#streams.get(id);
    if (!stream) return id <= this.#lastId ? undefined : 'stream_unknown';
    return stream.takeData(part);
  }

  #takeHello(payload: Buffer): string | undefined {
    const peer = parseHello(payload);
    if (typeof peer === 'string') return peer;
    this.#peer = peer;
    this.budget.streamBytes = peer.streamBytes;
    this.budget.left = peer.pairBytes;
    this.#linger?.cancel();
    this.#options.events.onOpen();
    return undefined;
  }

  #takeRequest(id: number, payload: Buffer): string | undefined {
    if (id <= this.#lastId) return 'stream_order';
    this.#lastId = id;
    if (id > this.#lastServed) return undefined;
    const stream = new HopStream(id, this);
    this.#streams.set(id, stream);
    stream.receiver = this.#options.events.onRequest(stream);
    return stream.receiver.onHead(payload);
  }

  #takeGoAway(lastServed: number): string | undefined {
    if (this.#accepts || lastServed > this.#lastId) return 'goaway';
    this.#lastServed = Math.min(this.#lastServed, lastServed);
    this.#options.events.onGoAway();
    for (const stream of this.#streams.values()) {
      if (stream.id > this.#lastServed) stream.lose('unserved', 'goaway');
    }
    return undefined;
  }
}
