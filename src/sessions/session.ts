// One session that this worker owns (or is claiming back): its token, its backend sessions, what is in flight. The guard is here.
import type { BackendSession, CallSink, RunningCall } from '../backends/backend.js';
import type { BackendSessionRecord, SessionRecord } from '../directory/directory.js';
import { forBegunCall, type GatewayError } from '../errors/gateway-error.js';
import { Bag } from '../lifecycle/bag.js';
import type { OwnerToken, SessionId, SessionRef } from '../protocol/ids.js';
import { isRequestId, type JsonRpcNotification, type RequestId } from '../protocol/json-rpc.js';
import { NamePins } from '../servers/name-pins.js';
import type { VirtualServer } from '../servers/virtual-server.js';
import { mintMemoryEpoch } from '../streams/event-id.js';
import type { Exchange, Headers } from '../streams/exchange.js';
import type { ResumableStream } from '../streams/resumable-stream.js';
import type { LeaseKeeper } from './lease-keeper.js';
import { listScopeOf } from './askable.js';
import { AskedIds } from './asked-ids.js';
import { Cancellations } from './cancellations.js';
import type { SessionQuestions } from './session-questions.js';
import { SessionStreams } from './session-streams.js';
import type { SessionTable } from './session-table.js';
import type { Standing } from './standing.js';

/**
 * active: served here · reclaiming: the lease ran out or the record was lost, requests are held until the token is ours again ·
 * released: given up, its record says so · ended: for good.
 */
export type SessionState = 'active' | 'reclaiming' | 'released' | 'ended';

/** Marks of answers that are remembered: as many as the record holds. */
const MAX_ANSWERED = 64;

/** What the caller of a request gets, for those who end it from outside. */
export interface CallerAnswer extends Pick<CallSink, 'message' | 'fail' | 'carriesRequests'> {
  /** The caller wants no answer any more. @returns false where it is on its way already: then nothing happened */
  cancel(): boolean;
}

/** A request that a backend has, as notifications/cancelled and progress find it. */
export interface CallInFlight {
  readonly id: RequestId;
  readonly backend: string;
  /** Under which its caller wants to hear of its progress. */
  readonly progressToken: unknown;
  /** Undefined while the backend is being called. */
  readonly running: RunningCall | undefined;
  readonly answer: CallerAnswer;
  /** Of its caller, who may have left. */
  readonly exchange?: Pick<Exchange, 'aborted'>;
  /** It is the rest of a call of an earlier owner: ends the reading of it, and nothing else. */
  readonly giveUp?: () => void;
}

/** A request that waits here for lists, or that the gateway itself answers. */
export interface RequestHere {
  readonly id: RequestId;
  readonly answer: CallerAnswer;
}

export interface SessionFacts {
  readonly id: SessionId;
  readonly ref: SessionRef;
  /** As it is configured now: another object after a reload that changed it, one without backends once it was removed. */
  readonly server: VirtualServer;
  /** Digest of the principal. */
  readonly principal: string;
  readonly protocolVersion: string;
  readonly client: SessionRecord['client'];
  readonly createdMs: number;
}

/** Of a backend session that left this session (a reload), while its record still holds it. */
export interface Leaving {
  /** Undefined while it is being saved. */
  record: BackendSessionRecord | undefined;
  /** Its teardown is queued and the record has forgotten it; or that is somebody else's to do by now. Never rejects. */
  readonly done: Promise<void>;
}

/** What a session keeps of backends as they were configured before; most sessions never see a reload. */
export class FormerBackendSessions {
  /** Calls that had begun in them end there. */
  readonly retired = new Set<BackendSession>();
  /** By backend. */
  readonly leaving = new Map<string, Leaving>();
  /**
   * By backend: the last generation under a former configuration. Its successor counts from there, so that after a loss of data the
   * newer of the two is known.
   */
  readonly lastGenerations = new Map<string, number>();
}

export class Session {
  readonly facts: SessionFacts;
  readonly backends = new Map<string, BackendSession>();
  readonly calls = new Bag<CallInFlight>('session');
  /** Made when the first one waits: calls of known tools never do. */
  requestsHere: Set<RequestHere> | undefined;
  readonly cancellations = new Cancellations();
  /** See listScopeOf. */
  readonly listScope: string;
  pins = new NamePins();
  /** The version of them that the record has (see name-saver.ts). */
  savedPins = 0;
  former: FormerBackendSessions | undefined;
  state: SessionState = 'active';
  token: OwnerToken;
  /** Wall time of the last use: what expiry counts from. */
  lastUsedMs: number;
  /** Requests being served, those not yet handed to a backend included. */
  inFlight = 0;
  /** Its owner drains, and what it has begun has to end: requests that come now wait for the next owner. */
  isLeaving = false;
  /** Told when the last request has been answered; may begin another one before it runs. */
  onQuiet: (() => void) | undefined;
  readonly streams: SessionStreams;
  /** Its standalone stream while somebody reads it. */
  standalone: ResumableStream | undefined;
  /** What backends have asked its client; most never do. */
  questions: SessionQuestions | undefined;
  /** What its client has asked for that stands until it takes it back; most sessions have none. */
  standing: Standing | undefined;
  /** As an earlier owner has left it in the record, until it is needed. */
  inheritedStanding: string | undefined;
  /** Marks of answers that were delivered, here and, as far as they could say so, by owners before us; oldest first. */
  answered: Set<string> | undefined;
  /** Our ids of what its client was asked, here and by owners before us, and has not answered. */
  asked: AskedIds | undefined;
  /** Client headers of the GET that reads it, or read it last. */
  listeningHeaders: Headers | undefined;
  #keeper: LeaseKeeper;
  readonly #settled = new Set<() => void>();

  /** @param shared what the streams of all sessions of this worker may remember, and who reads them; default its own */
  constructor(
    facts: SessionFacts,
    token: OwnerToken,
    keeper: LeaseKeeper,
    nowMs: number,
    shared?: Pick<SessionTable, 'eventBudget' | 'readers'>,
  ) {
    this.facts = facts;
    this.listScope = listScopeOf(facts.client.capabilities);
    // An answer that its caller is to come for is in flight: a session that is released meanwhile would lose it.
    const onAway = (isAway: boolean) => (isAway ? void this.inFlight++ : this.leave());
    this.streams = new SessionStreams({
      ...{ session: facts.ref, epoch: mintMemoryEpoch(token.epoch), onAway },
      ...(shared && { budget: shared.eventBudget, readers: shared.readers }),
    });
    this.token = token;
    this.#keeper = keeper;
    this.lastUsedMs = nowMs;
  }

  /** The guard: asked synchronously right before the bytes of every act leave. */
  mayAct(): boolean {
    return this.state === 'active' && this.token.owner === this.#keeper.id && this.#keeper.isValid();
  }

  /** Leaves `reclaiming`; whoever waited goes on. */
  settle(state: SessionState, token: OwnerToken = this.token): void {
    this.state = state;
    this.token = token;
    const waiting = [...this.#settled];
    this.#settled.clear();
    for (const wake of waiting) wake();
  }

  /**
   * Resolves when the session is no longer `reclaiming`, or when `givenUp` does. A lapse may last: whoever has stopped waiting must
   * leave nothing behind here.
   */
  async settled(givenUp?: Promise<void>): Promise<void> {
    if (this.state !== 'reclaiming') return;
    let wake: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#settled.add(wake);
    await (givenUp ? Promise.race([done, givenUp]) : done);
    this.#settled.delete(wake);
  }

  /** How many wait for that. */
  get waiting(): number {
    return this.#settled.size;
  }

  /** Something of it lives only in this process (a stdio child): it cannot be passed on. */
  get isBoundToWorker(): boolean {
    for (const backend of this.backends.values()) if (backend.isBoundToWorker) return true;
    return false;
  }

  /** What the record holds of its backend sessions: enough to write it anew, or to end them without it. */
  savedBackends(): Record<string, BackendSessionRecord> {
    const saved: Record<string, BackendSessionRecord> = {};
    for (const [name, { record }] of this.former?.leaving ?? []) if (record) saved[name] = record;
    for (const [name, { record }] of this.backends) {
      if (record) saved[name] = this.asSaved(name, record);
    }
    return saved;
  }

  /** Of many the oldest goes, as in the record. */
  noteAnswered(mark: string): void {
    this.answered ??= new Set();
    this.answered.add(mark);
    const [oldest] = this.answered;
    if (this.answered.size > MAX_ANSWERED && oldest !== undefined) this.answered.delete(oldest);
  }

  /** The same of what its client is asked. */
  noteAsked(ours: string): void {
    this.asked ??= new AskedIds();
    this.asked.add(ours);
  }

  /** What the record has, or is to have, of `standing`; '': nothing. */
  get sealedStanding(): string {
    return this.inheritedStanding ?? this.standing?.sealed ?? '';
  }

  /** Whether the client's revision knows events that only carry an id (2025-11-25, "Sending Messages", priming event). */
  get isPrimed(): boolean {
    return this.facts.protocolVersion >= '2025-11-25';
  }

  /** The answer of a call as a stream that its caller can resume. `marks`: see SessionStreams.openCall. */
  openCallStream(id: RequestId, exchange: Exchange, headers: Headers, marks = ''): ResumableStream {
    const stream = this.streams.openCall(id, marks);
    stream.attach({ exchange, headers, isPrimed: this.isPrimed });
    return stream;
  }

  /** How a backend session's own record stands in the session's record. */
  asSaved(backend: string, record: BackendSessionRecord): BackendSessionRecord {
    const base = this.former?.lastGenerations.get(backend);
    return base === undefined ? record : { ...record, generation: record.generation + base };
  }

  /** Which of its sessions a backend has here, as the record counts them; 0: none that was saved. */
  generationOf(backend: string): number {
    const record = this.backends.get(backend)?.record;
    return record ? this.asSaved(backend, record).generation : 0;
  }

  /** Nothing is under way that would be lost with this memory: no request, no question to its client that waits for a stream. */
  get isIdle(): boolean {
    return this.inFlight === 0 && this.calls.size === 0 && !this.questions?.isHolding;
  }

  /** One request less is being served. */
  leave(): void {
    this.inFlight--;
    if (this.inFlight === 0) this.onQuiet?.();
  }

  /**
   * notifications/cancelled of the client: reaches the backend that has the call; a request that has not begun never does, also one
   * that is still to come. Of one that was answered nothing remains to be done: the two race.
   * @param nowMs monotonic
   */
  cancel({ params }: JsonRpcNotification, headers: Headers, nowMs: number): void {
    const { requestId: id, reason } = params ?? {};
    if (!isRequestId(id)) return;
    // A client that uses an id again may have one that runs here beside the rest of one that an earlier owner began: both are meant.
    const calls = this.calls.toArray().filter((one) => one.id === id);
    for (const call of calls) {
      if (!call.answer.cancel()) continue;
      call.running?.cancel(typeof reason === 'string' ? reason : 'cancelled by the client', true, headers);
    }
    for (const request of this.requestsHere ?? []) {
      if (request.id !== id) continue;
      request.answer.cancel();
      return;
    }
    if (calls.length === 0) this.cancellations.note(id, nowMs);
  }

  /**
   * Memory closes: calls get `error`, children die, and the stream ends, or, if the session is `released`, goes on at its next owner.
   * Nothing is sent to HTTP backends but cancellations.
   */
  close(state: 'released' | 'ended', error: GatewayError): void {
    this.settle(state);
    for (const call of this.calls.toArray()) {
      // Asked before it is cancelled; while the backend is being called it cannot be told.
      const mayHaveRun = call.running?.mayHaveRun ?? true;
      call.running?.cancel('the session ended', state === 'ended');
      call.answer.fail(mayHaveRun ? forBegunCall(error) : error);
    }
    this.calls.clear();
    this.streams.close(state === 'released' ? 'moved' : 'ended');
    for (const backend of [...this.backends.values(), ...(this.former?.retired ?? [])]) backend.close(error);
    this.backends.clear();
    this.questions?.end();
    this.questions = undefined;
    this.former?.retired.clear();
  }
}
