// A worker as queueing theory sees one: a single server of known costs, with real judgement (QueueWatch, CallQueue) of what it refuses, on
// a clock of its own. What takes minutes of a free machine to measure takes a fraction of a second, and is the same each time.
import { CallQueue } from '../../../src/backends/http/call-queue.js';
import type { Clock } from '../../../src/lifecycle/clock.js';
import { QueueWatch } from '../../../src/routing/queue-watch.js';

export interface WorkerOptions {
  /** What a call takes until it is sent to the backend, and when the answer is there; what it takes to refuse one; ms. */
  readonly costs: { readonly front: number; readonly back: number; readonly refusal: number };
  /** How long the backend takes, ms. */
  readonly backendMs?: number;
  /** Share of requests after which the worker stands still for PAUSE_MS, as for a collection of garbage. */
  readonly pauses?: number;
  /** Connections of clients: while all of them wait for an answer, nothing comes. */
  readonly clients?: number;
}

/** Of what came after SETTLE_MS; shares are shares of what the worker can serve. */
export interface Figures {
  readonly accepted: number;
  /** As much as can be accepted, for what it costs to refuse the others. */
  readonly best: number;
  readonly p99Ms: number;
  /** In all. */
  readonly refused: number;
  /** When something was refused last, since the load began; 0: never. */
  readonly lastRefusalMs: number;
}

export const BOUND_MS = 50;
/** A second until it counts as overload, and then what has gathered meanwhile is worked off. */
export const SETTLE_MS = 4000;
const CONNECTIONS = 128;
const PAUSE_MS = 10;

interface Event {
  readonly atMs: number;
  readonly bornMs: number;
}

export class SimulatedWorker {
  readonly watch: QueueWatch;
  readonly #options: WorkerOptions;
  readonly #calls = new CallQueue(CONNECTIONS);
  readonly #timers: Array<{ dueMs: number; readonly periodMs: number; readonly run: () => void }> = [];
  #ends: Array<() => void> = [];
  #nowMs = 0;
  #idleMs = 0;
  #seed = 1;
  #requests: Event[] = [];
  #answers: Event[] = [];
  #waiting: number[] = [];
  #onConnection = 0;
  /** Clients that wait for an answer. */
  #open = 0;
  #areClientsWaiting = false;
  #fromMs = 0;
  #refused = 0;
  #lastRefusalMs = 0;
  #latencies: number[] = [];

  constructor(options: WorkerOptions) {
    this.#options = options;
    let lookedMs = 0;
    let idleMs = 0;
    const clock: Clock = {
      monotonicMs: () => this.#nowMs,
      wallMs: () => this.#nowMs,
      after: () => {
        throw new Error('not simulated');
      },
      every: (periodMs, run) => {
        this.#timers.push({ dueMs: periodMs, periodMs, run });
        return { cancel: () => undefined };
      },
    };
    this.watch = new QueueWatch({
      clock,
      boundMs: () => BOUND_MS,
      busyShare: () => {
        const share = this.#nowMs > lookedMs ? 1 - (this.#idleMs - idleMs) / (this.#nowMs - lookedMs) : 0;
        lookedMs = this.#nowMs;
        idleMs = this.#idleMs;
        return share;
      },
      afterTurn: (run) => void this.#ends.push(run),
      callQueues: [this.#calls],
    });
  }

  /** Arrivals that wait for nobody (Poisson), as a share of what the worker can serve. */
  load(share: number, forMs: number): Figures {
    const { front, back } = this.#options.costs;
    const { clients = Number.POSITIVE_INFINITY } = this.#options;
    let nextMs = this.#nowMs;
    const next = () => {
      while (nextMs <= this.#nowMs) {
        if (this.#open >= clients) {
          nextMs = this.#nowMs;
          return Number.POSITIVE_INFINITY;
        }
        this.#send(nextMs);
        nextMs += (-Math.log(1 - this.#random()) * (front + back)) / share;
      }
      return nextMs;
    };
    return this.#run(share, forMs, next);
  }

  /** Clients that each wait for an answer, or a refusal, and ask again at once. */
  closedLoop(clients: number, forMs: number): Figures {
    for (let n = 0; n < clients; n++) this.#send(this.#nowMs);
    this.#areClientsWaiting = true;
    return this.#run(1, forMs, () => Number.POSITIVE_INFINITY);
  }

  #run(share: number, forMs: number, nextMs: () => number): Figures {
    this.#fromMs = this.#nowMs;
    this.#refused = 0;
    this.#lastRefusalMs = 0;
    this.#latencies = [];
    const untilMs = this.#nowMs + forMs;
    while (this.#nowMs < untilMs) this.#turn(nextMs);
    const { costs, pauses = 0 } = this.#options;
    const serveMs = costs.front + costs.back;
    const refusing = (costs.refusal + pauses * PAUSE_MS) / serveMs;
    const latencies = this.#latencies.sort((a, b) => a - b);
    return {
      accepted: (latencies.length * serveMs) / (forMs - SETTLE_MS),
      best: share <= 1 ? share : Math.max(0, (1 - share * refusing) / (1 - costs.refusal / serveMs)),
      p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
      refused: this.#refused,
      lastRefusalMs: this.#lastRefusalMs,
    };
  }

  /** As in Node: timers, then what has come by now, in the order in which it came; what comes meanwhile is for the next turn. */
  #turn(nextMs: () => number): void {
    const arrivesMs = nextMs();
    for (const timer of this.#timers) {
      if (timer.dueMs > this.#nowMs) continue;
      timer.dueMs = this.#nowMs + timer.periodMs;
      timer.run();
    }
    const firstLater = this.#answers.findIndex(({ atMs }) => atMs > this.#nowMs);
    const answers = this.#answers.splice(0, firstLater < 0 ? this.#answers.length : firstLater);
    const requests = this.#requests;
    this.#requests = [];
    if (answers.length + requests.length === 0) {
      this.#sleepUntil(
        Math.min(arrivesMs, this.#answers[0]?.atMs ?? Number.POSITIVE_INFINITY, ...this.#timers.map(({ dueMs }) => dueMs)),
      );
      return;
    }
    let done = 0;
    for (const request of requests) {
      while (done < answers.length && (answers[done] as Event).atMs < request.atMs) this.#onAnswer(answers[done++] as Event);
      this.#onRequest(request);
    }
    while (done < answers.length) this.#onAnswer(answers[done++] as Event);
    this.#connect();
    for (const end of this.#ends.splice(0)) end();
  }

  #sleepUntil(wakesMs: number): void {
    this.#idleMs += wakesMs - this.#nowMs;
    this.#nowMs = wakesMs;
  }

  #onRequest({ bornMs }: Event): void {
    const { costs, pauses = 0 } = this.#options;
    if (this.watch.mustRefuse(false)) {
      this.#nowMs += costs.refusal;
      this.#refused += 1;
      this.#lastRefusalMs = this.#nowMs - this.#fromMs;
      this.#onEnd();
    } else {
      this.#nowMs += costs.front;
      this.#waiting.push(bornMs);
      this.#calls.waiting += 1;
    }
    if (pauses > 0 && this.#random() < pauses) this.#nowMs += PAUSE_MS;
  }

  #onAnswer({ bornMs }: Event): void {
    this.#onConnection -= 1;
    this.#connect();
    this.#nowMs += this.#options.costs.back;
    if (bornMs >= this.#fromMs + SETTLE_MS) this.#latencies.push(this.#nowMs - bornMs);
    this.#onEnd();
  }

  #connect(): void {
    const count = Math.min(this.#waiting.length, CONNECTIONS - this.#onConnection);
    for (const bornMs of this.#waiting.splice(0, count)) {
      this.#answers.push({ atMs: this.#nowMs + (this.#options.backendMs ?? 1), bornMs });
    }
    this.#onConnection += count;
    this.#calls.waiting -= count;
    this.#calls.sent += count;
  }

  #send(atMs: number): void {
    this.#open += 1;
    this.#requests.push({ atMs, bornMs: atMs });
  }

  #onEnd(): void {
    this.#open -= 1;
    if (this.#areClientsWaiting) this.#send(this.#nowMs);
  }

  #random(): number {
    this.#seed = (this.#seed * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return this.#seed / 2 ** 32;
  }
}
