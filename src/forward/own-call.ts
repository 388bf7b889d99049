// A hop that no client's answer hangs on: what comes back is kept here for whoever asked. So a worker can speak to another one by
// itself, and can stop waiting for an owner while its caller still gets an answer.
import type { Lease } from '../directory/directory.js';
import type { Clock } from '../lifecycle/clock.js';
import type { Answer, Exchange, Headers, Hop } from '../streams/exchange.js';
import { newNote } from '../streams/exchange.js';
import type { Forwarder, ForwardOutcome } from './forward.js';

/** What is asked: of a client's request, or of none. */
export type OwnCallFacts = Pick<Exchange, 'method' | 'serverId' | 'headers' | 'principal'>;

export type OwnCallOutcome =
  | { readonly kind: 'answered'; readonly status: number; readonly headers: Headers; readonly body: Buffer }
  | Exclude<ForwardOutcome, { readonly kind: 'answered' }>
  /** No answer in time: it may have been done, and may still be. */
  | { readonly kind: 'silent' };

/** Larger answers are cut off: what is asked here is mostly answered in a few hundred bytes. */
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Never rejects, and ends after `withinMs` at the latest.
 * @param maxBytes of the answer; what is beyond is cut off. Default 64 KiB
 */
export async function callWorker(
  { forwarder, clock }: { readonly forwarder: Forwarder; readonly clock: Clock },
  facts: OwnCallFacts,
  to: Lease,
  hop: Hop,
  withinMs: number,
  maxBytes = MAX_ANSWER_BYTES,
): Promise<OwnCallOutcome> {
  const call = new OwnCall(facts, clock.monotonicMs(), withinMs, maxBytes);
  const timer = clock.after(withinMs, () => call.giveUp());
  const outcome = await forwarder.forward(call, to, hop);
  timer.cancel();
  if (call.aborted) return { kind: 'silent' };
  if (outcome.kind !== 'answered') return outcome;
  const { status, headers, body } = call.answer;
  return { kind: 'answered', status, headers, body };
}

class KeptAnswer implements Answer {
  status = 0;
  headers: Headers = {};
  started = false;
  finished = false;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(private readonly maxBytes: number) {}

  get body(): Buffer {
    return Buffer.concat(this.#parts);
  }

  send(status: number, headers: Headers, body?: Buffer | string): void {
    this.start(status, headers);
    if (body !== undefined) this.write(body);
    this.end();
  }

  start(status: number, headers: Headers): void {
    this.started = true;
    this.status = status;
    this.headers = headers;
  }

  write(chunk: Buffer | string): boolean {
    const bytes = Buffer.from(chunk as string);
    if (this.#bytes + bytes.length <= this.maxBytes) this.#parts.push(bytes);
    this.#bytes += bytes.length;
    return true;
  }

  end(): void {
    this.finished = true;
  }

  destroy(): void {
    this.finished = true;
  }

  onDrain(): void {}
}

class OwnCall implements Exchange {
  readonly method: Exchange['method'];
  readonly serverId: string;
  readonly headers: Headers;
  readonly principal: Exchange['principal'];
  readonly body = undefined;
  readonly hop = undefined;
  readonly answer: KeptAnswer;
  readonly deadlineMs: number;
  readonly startedMs: number;
  readonly note: Exchange['note'];
  aborted = false;
  #abortListeners: Array<() => void> = [];

  constructor(facts: OwnCallFacts, nowMs: number, withinMs: number, maxBytes: number) {
    this.answer = new KeptAnswer(maxBytes);
    this.method = facts.method;
    this.serverId = facts.serverId;
    this.headers = facts.headers;
    this.principal = facts.principal;
    this.startedMs = nowMs;
    this.deadlineMs = nowMs + withinMs;
    this.note = newNote(facts.method, undefined);
  }

  onAbort(listener: () => void): void {
    if (this.aborted) listener();
    else this.#abortListeners.push(listener);
  }

  giveUp(): void {
    if (this.answer.finished) return;
    this.aborted = true;
    for (const listener of this.#abortListeners.splice(0)) listener();
  }
}
