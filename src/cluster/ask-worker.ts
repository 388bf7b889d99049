// The admin API of the pod, asked of one of its workers: any of them can answer for the whole cluster. A worker that hangs delays an
// answer once; from then on it is asked last, until it has caught up.
import { AdminError } from '../admin/admin-error.js';
import type { AdminAnswer, AdminRequest } from '../admin/admin-request.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import type { ToWorker } from './messages.js';

/** A worker, as far as the admin API is concerned. */
export interface AnsweringWorker {
  readonly isReady: boolean;
  /** It was ready once: also while it drains, or Redis is away, it can say something. */
  readonly hasStarted: boolean;
  send(message: ToWorker): void;
}

/** How long one worker may take, ms. It bounds its own work below that. */
export const WORKER_ANSWER_MS = 3000;
/** Beyond that no further worker is asked: whoever asked has waited long enough. */
const ALL_MS = 7000;
/** Under way at a time, in the pod. */
const MAX_ASKED = 16;

interface Pending {
  readonly worker: AnsweringWorker;
  settle(answer: AdminAnswer | undefined): void;
}

/** Each of them asks all workers of the cluster, and nothing that the API changes is in the answer: who asks meanwhile shares it. */
const SURVEYS: ReadonlySet<AdminRequest['kind']> = new Set(['workers', 'backends', 'servers']);

/** What is done by asking. */
const CHANGES: ReadonlySet<AdminRequest['kind']> = new Set(['kill', 'retry', 'drop']);

export class WorkerAsker {
  readonly #workers: () => readonly AnsweringWorker[];
  readonly #reasons: () => readonly string[];
  readonly #clock: Clock;
  readonly #pending = new Map<number, Pending>();
  /** Asked in vain, and silent since. */
  readonly #silent = new WeakSet<AnsweringWorker>();
  readonly #surveys = new Map<AdminRequest['kind'], Promise<AdminAnswer>>();
  #asked = 0;
  #request = 0;

  /** @param options.reasons why no worker is ready, for whoever is told so */
  constructor(options: {
    readonly workers: () => readonly AnsweringWorker[];
    readonly reasons: () => readonly string[];
    readonly clock: Clock;
  }) {
    this.#workers = options.workers;
    this.#reasons = options.reasons;
    this.#clock = options.clock;
  }

  /** @throws AdminError TOO_BUSY, NO_WORKER */
  ask(request: AdminRequest): Promise<AdminAnswer> {
    const { kind } = request;
    if (!SURVEYS.has(kind)) return this.#ask(request);
    // With one worker that hangs a survey takes a second or more: a few dashboards would take all places, and no operator could act.
    let survey = this.#surveys.get(kind);
    if (!survey) {
      survey = this.#ask(request).finally(() => this.#surveys.delete(kind));
      this.#surveys.set(kind, survey);
    }
    return survey;
  }

  async #ask(request: AdminRequest): Promise<AdminAnswer> {
    if (this.#asked >= MAX_ASKED) throw new AdminError('TOO_BUSY');
    this.#asked++;
    try {
      const untilMs = this.#clock.monotonicMs() + ALL_MS;
      const tried = new Set<AnsweringWorker>();
      for (;;) {
        const worker = this.#choose(tried);
        const leftMs = untilMs - this.#clock.monotonicMs();
        if (!worker || leftMs <= 0) throw this.#noWorker();
        const answer = await this.#askOne(worker, request, Math.min(WORKER_ANSWER_MS, leftMs));
        // The first one may have done it before it fell silent: then the second finds nothing left to do.
        if (answer?.status === 404 && tried.size > 0 && CHANGES.has(request.kind))
          throw new AdminError(
            'NO_WORKER',
            'The worker that was asked first did not answer: it may have been done. Look before you try again',
          );
        if (answer) return answer;
        tried.add(worker);
      }
    } finally {
      this.#asked--;
    }
  }

  /** A worker has answered, in time or not. */
  take(worker: AnsweringWorker, request: number, answer: AdminAnswer): void {
    this.#silent.delete(worker);
    const pending = this.#pending.get(request);
    if (pending?.worker === worker) pending.settle(answer);
  }

  /** A worker has died: whoever it was to answer goes on with the next. */
  forget(worker: AnsweringWorker): void {
    for (const pending of [...this.#pending.values()]) if (pending.worker === worker) pending.settle(undefined);
  }

  #noWorker(): AdminError {
    const reasons = this.#reasons();
    return reasons.length
      ? new AdminError('NO_WORKER', `No worker of this pod answers (${reasons.join('; ')}). Try again`)
      : new AdminError('NO_WORKER');
  }

  #choose(tried: ReadonlySet<AnsweringWorker>): AnsweringWorker | undefined {
    const started = this.#workers().filter((worker) => worker.hasStarted && !tried.has(worker));
    const ready = started.filter((worker) => worker.isReady);
    const answering = (worker: AnsweringWorker) => !this.#silent.has(worker);
    // One that drains comes before one that hangs: during a drain an operator looks at what holds it up.
    return ready.find(answering) ?? started.find(answering) ?? started[0];
  }

  #askOne(worker: AnsweringWorker, ask: AdminRequest, withinMs: number): Promise<AdminAnswer | undefined> {
    this.#request += 1;
    const request = this.#request;
    return new Promise((resolve) => {
      const timer: Timer = this.#clock.after(withinMs, () => {
        this.#silent.add(worker);
        settle(undefined);
      });
      const settle = (answer: AdminAnswer | undefined) => {
        timer.cancel();
        this.#pending.delete(request);
        resolve(answer);
      };
      this.#pending.set(request, { worker, settle });
      worker.send({ kind: 'admin', request, ask });
    });
  }
}
