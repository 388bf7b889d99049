// What one session was asked, in its owner's memory: what waits for an answer, what waits for a stream, what is over.
import type { BackendAsk } from '../backends/backend.js';
import type { Timer } from '../lifecycle/clock.js';
import type { RequestId } from '../protocol/json-rpc.js';

/** Answered ones, and others that are over, which are remembered, so that a second answer is dropped. */
const MAX_CLOSED = 256;
/** Text of one session that waits for a stream. */
const MAX_HELD_BYTES = 1024 * 1024;
/** The same of all sessions of the worker. */
const MAX_HELD_BYTES_TOTAL = 32 * 1024 * 1024;

/** Shared by the sessions of a worker: text that waits for streams. */
export interface HeldTexts {
  bytes: number;
}

export interface Question {
  readonly backend: string;
  /** The backend's. */
  readonly id: RequestId;
  /** Of the backend session in which it was asked, as the record counts them. */
  readonly generation: number;
  from: BackendAsk['from'];
  /** It went out to the client, at least once. */
  isTold: boolean;
  /** It went out on the standalone stream. */
  isOutside: boolean;
  /** Waits for a stream that can carry it, until then (monotonic); undefined: the client has been asked. */
  held: { readonly text: Buffer | string; readonly bytes: number; readonly untilMs: number } | undefined;
  /** For its next look, or its end. */
  timer: Timer | undefined;
}

export class SessionQuestions {
  /** By our id, oldest first. */
  readonly pending = new Map<string, Question>();
  /** Our ids to which no answer is taken any more, oldest first. */
  readonly closed = new Set<string>();
  readonly #worker: HeldTexts;
  #held = 0;
  #heldBytes = 0;

  constructor(worker: HeldTexts) {
    this.#worker = worker;
  }

  /** Some wait for a stream: asked on the way of every call. */
  get isHolding(): boolean {
    return this.#held > 0;
  }

  /** @returns false where there is no room, and nothing is changed */
  hold(question: Question, text: Buffer | string, untilMs: number): boolean {
    const bytes = Buffer.byteLength(text);
    if (this.#heldBytes + bytes > MAX_HELD_BYTES || this.#worker.bytes + bytes > MAX_HELD_BYTES_TOTAL) return false;
    question.held = { text, bytes, untilMs };
    this.#held++;
    this.#heldBytes += bytes;
    this.#worker.bytes += bytes;
    return true;
  }

  /** It waits for a stream no more. */
  letGo(question: Question): void {
    const bytes = question.held?.bytes;
    if (bytes === undefined) return;
    question.held = undefined;
    this.#held--;
    this.#heldBytes -= bytes;
    this.#worker.bytes -= bytes;
  }

  /** @returns what this backend has asked under that id, in that session of it if one is named, and nobody has answered */
  find(backend: string, id: RequestId, generation?: number): { ours: string; entry: Question } | undefined {
    for (const [ours, entry] of this.pending) {
      const isThat = generation === undefined || entry.generation === generation;
      if (isThat && entry.id === id && entry.backend === backend) return { ours, entry };
    }
    return undefined;
  }

  /** No answer is taken to it any more. */
  close(ours: string): void {
    const question = this.pending.get(ours);
    if (question) this.#drop(ours, question);
    this.closed.add(ours);
    const [oldest] = this.closed;
    if (this.closed.size > MAX_CLOSED && oldest !== undefined) this.closed.delete(oldest);
  }

  /** The session ends here or goes elsewhere: its next owner knows the questions by their ids. */
  end(): void {
    for (const [ours, question] of this.pending) this.#drop(ours, question);
  }

  #drop(ours: string, question: Question): void {
    this.pending.delete(ours);
    question.timer?.cancel();
    this.letGo(question);
  }
}
