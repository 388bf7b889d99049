// One request on a connection, seen from either end: what may still be sent, and what the reader has not taken yet.
import { CANCEL_REASON, type CancelReason, FRAME } from './frames.js';
import { FLOOR_BYTES, RETURN_BYTES } from './limits.js';
import type { Outbox } from './outbox.js';
import type { SendBudget } from './send-budget.js';

/** How a stream ended other than by END: `unserved` says that the peer has certainly not begun it; `moved`: see CANCEL_REASON. */
export type StreamLoss = 'cancelled' | 'unserved' | 'moved' | 'lost';

/** What arrives on a stream. Nothing is called after `onEnd` or `onLoss`. Returning a text is a fault: it closes the connection. */
export interface StreamReceiver {
  onHead(payload: Buffer): string | undefined;
  /** To be followed, now or later, by `stream.giveBack` for as many bytes. */
  onData(part: Buffer): string | undefined;
  onEnd(): string | undefined;
  onLoss(loss: StreamLoss, reason: string): void;
}

/** The part of the connection that a stream needs. */
export interface StreamHome {
  readonly outbox: Outbox;
  readonly budget: SendBudget;
  /** What we promised the peer in HELLO, per stream. */
  readonly receiveBytes: number;
  /** The stream needs no more frames. */
  forget(stream: HopStream): void;
}

const SMALL_TEXT = 4096;

export class HopStream {
  readonly id: number;
  readonly #home: StreamHome;
  receiver!: StreamReceiver;
  /** Sent and not yet given back by the peer. */
  #outstanding = 0;
  #pending: Buffer[] = [];
  #ending = false;
  #stays = false;
  #moves = false;
  /** The flush after which END is out of our hands. */
  #endFlush = -1;
  #wantsDrain = false;
  #onDrain: (() => void) | undefined;
  /** Received and not yet given back to the peer. */
  #held = 0;
  #toReturn = 0;
  #closed = false;

  constructor(id: number, home: StreamHome) {
    this.id = id;
    this.#home = home;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Whether END was handed to the socket. Before that the peer cannot have begun a request, since it reads the body whole first. */
  get isHandedOver(): boolean {
    return this.#endFlush >= 0 && this.#home.outbox.flushes > this.#endFlush;
  }

  sendHead(json: string): void {
    if (!this.#closed) this.#home.outbox.text(FRAME.HEAD, this.id, json);
  }

  /** @returns false when the credit is used up: write no more until the drain listener runs. What was written all the same waits. */
  write(chunk: Buffer | string): boolean {
    if (this.#closed || this.#ending || chunk.length === 0) return true;
    if (typeof chunk === 'string') {
      if (chunk.length > SMALL_TEXT || this.#pending.length > 0) return this.write(Buffer.from(chunk));
      const bytes = Buffer.byteLength(chunk);
      if (bytes > this.#sendable()) return this.write(Buffer.from(chunk));
      this.#home.outbox.text(FRAME.DATA, this.id, chunk);
      this.#outstand(bytes);
    } else {
      this.#pending.push(chunk);
      if (this.#pending.length > 1 || !this.#sendPending()) return this.#waitForCredit();
    }
    return this.#sendable() > 0 || this.#waitForCredit();
  }

  /** END, once everything before it is out. A request (`stays`) then waits for its answer; an answer is through. */
  end(stays = false): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    this.#stays = stays;
    if (this.#pending.length === 0) this.#sendEnd();
  }

  /** As END of an answer, but the edge asks the next owner for the rest. */
  move(): void {
    if (this.#closed || this.#ending) return;
    this.#moves = true;
    this.end();
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  /** Gives the stream up. */
  cancel(reason: CancelReason): void {
    if (this.#closed) return;
    this.#home.outbox.byte(FRAME.CANCEL, this.id, reason);
    this.#close();
  }

  /** The reader has taken so many bytes: they may be sent again, in portions that make the CREDIT frame worth its while. */
  giveBack(bytes: number): void {
    if (this.#closed) return;
    this.#toReturn += bytes;
    if (this.#toReturn < RETURN_BYTES) return;
    this.#home.outbox.uint32(FRAME.CREDIT, this.id, this.#toReturn);
    this.#held -= this.#toReturn;
    this.#toReturn = 0;
  }

  // --- for the connection -----------------------------------------------------------------------------------------------

  /** @returns a fault when the peer sent more than it may */
  takeData(part: Buffer): string | undefined {
    this.#held += part.length;
    if (this.#held > this.#home.receiveBytes) return 'credit_exceeded';
    return this.receiver.onData(part);
  }

  takeCredit(bytes: number): string | undefined {
    if (bytes > this.#outstanding) return 'credit_unspent';
    this.#outstand(-bytes);
    this.pump();
    this.#home.budget.wake();
    return undefined;
  }

  takeCancel(reason: number): void {
    if (reason === CANCEL_REASON.refused) this.lose('unserved', 'refused');
    else if (reason === CANCEL_REASON.moved) this.lose('moved', 'moved');
    else this.lose('cancelled', 'cancelled');
  }

  /** END of the answer arrived: nothing is left to say or to hear. */
  takeAnswerEnd(): string | undefined {
    this.#close();
    return this.receiver.onEnd();
  }

  lose(loss: StreamLoss, reason: string): void {
    if (this.#closed) return;
    this.#close();
    this.receiver.onLoss(loss, reason);
  }

  /** Sends what waits, as far as the credit goes. */
  pump(): void {
    if (this.#closed || !this.#sendPending()) return;
    if (this.#ending) {
      if (this.#endFlush < 0) this.#sendEnd();
    } else if (this.#wantsDrain) {
      if (this.#sendable() === 0) this.#waitForPair();
      else {
        this.#wantsDrain = false;
        this.#onDrain?.();
      }
    }
  }

  #sendPending(): boolean {
    const pending = this.#pending;
    while (pending.length > 0) {
      const chunk = pending[0] as Buffer;
      const bytes = Math.min(chunk.length, this.#sendable());
      if (bytes > 0) {
        this.#home.outbox.data(this.id, chunk, 0, bytes);
        this.#outstand(bytes);
      }
      if (bytes < chunk.length) {
        pending[0] = chunk.subarray(bytes);
        this.#waitForPair();
        return false;
      }
      pending.shift();
    }
    return true;
  }

  #waitForCredit(): false {
    this.#wantsDrain = true;
    this.#waitForPair();
    return false;
  }

  /** A stream out of its own credit is woken by its own CREDIT only: else each CREDIT would try every stalled stream in vain. */
  #waitForPair(): void {
    if (this.#outstanding < this.#home.budget.streamBytes) this.#home.budget.waitFor(this);
  }

  #sendable(): number {
    const { streamBytes, left } = this.#home.budget;
    const shared = Math.max(0, left) + Math.max(0, FLOOR_BYTES - this.#outstanding);
    return Math.min(streamBytes - this.#outstanding, shared);
  }

  /** Only what a stream has out beyond its floor counts against the pair: thousands of quiet streams use up nobody's credit. */
  #outstand(change: number): void {
    const before = Math.max(0, this.#outstanding - FLOOR_BYTES);
    this.#outstanding += change;
    this.#home.budget.left -= Math.max(0, this.#outstanding - FLOOR_BYTES) - before;
  }

  #sendEnd(): void {
    if (this.#moves) {
      this.cancel(CANCEL_REASON.moved);
      return;
    }
    this.#endFlush = this.#home.outbox.flushes;
    this.#home.outbox.empty(FRAME.END, this.id);
    if (!this.#stays) this.#close();
  }

  #close(): void {
    this.#closed = true;
    this.#pending = [];
    this.#outstand(-this.#outstanding);
    this.#home.budget.forget(this);
    this.#home.forget(this);
  }
}
