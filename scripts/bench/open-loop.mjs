// The open loop: requests arrive when they arrive, whether or not earlier ones have been answered, as those of many clients that know
// nothing of each other. Latency counts from the intended arrival, also while no connection is free: nothing is left out because
// the gateway was slow (coordinated omission). Every answer is verified, every refusal too.
import { CALLS, verify } from './calls.mjs';

const TICK_MS = 1;
/** Arrivals that wait for a connection: with more of them the load is the bottleneck, and what it would measure is itself. */
const MOST_WAITING = 5000;

/**
 * @typedef {object} Step
 * @property {number} perSecond arrivals, at random (Poisson)
 * @property {number} ms
 * @property {number} settleMs of it, at its beginning, that latencies are told apart for: the gateway has to notice first
 * @property {number} [calmMs] of it, at its beginning, after which refusals are counted apart: by then a lesser load should be served again
 */

export class OpenLoop {
  #free;
  #share;
  #path;
  /** Arrivals in their order; those before `#next` have been sent. */
  #waiting = [];
  #next = 0;
  #steps;
  #nextId;
  #open = 0;
  #ended = () => undefined;

  /** @param options `{ connections, sessions, path, steps, firstId }`; connections are free, sessions have headers and a tag */
  constructor({ connections, sessions, path, steps, firstId }) {
    this.#free = [...connections];
    this.#share = sessions;
    this.#path = path;
    this.#nextId = firstId;
    this.#steps = steps.map((step) => ({ ...step, ...newCounts() }));
  }

  /** The first id that has not been used. */
  get nextId() {
    return this.#nextId;
  }

  /** @returns figures of each step, once every request has been answered */
  async run(beginsStep = () => undefined) {
    let startMs = performance.now();
    for (const [index, step] of this.#steps.entries()) {
      beginsStep(index);
      step.startMs = startMs;
      await this.#arrive(step);
      startMs += step.ms;
    }
    if (this.#open > 0) await new Promise((resolve) => (this.#ended = resolve));
    return this.#steps.map(figuresOf);
  }

  async #arrive(step) {
    const endMs = step.startMs + step.ms;
    const gapMs = 1000 / step.perSecond;
    let nextMs = step.startMs + exponential(gapMs);
    while (nextMs < endMs) {
      const nowMs = performance.now();
      for (; nextMs <= nowMs && nextMs < endMs; nextMs += exponential(gapMs)) {
        if (this.#waiting.length - this.#next >= MOST_WAITING) {
          step.unsent += 1;
          continue;
        }
        this.#open += 1;
        step.lateMs.push(nowMs - nextMs);
        this.#waiting.push({ step, dueMs: nextMs });
      }
      this.#sendWaiting();
      await new Promise((wake) => setTimeout(wake, TICK_MS));
    }
  }

  #sendWaiting() {
    while (this.#next < this.#waiting.length && this.#free.length > 0) {
      void this.#send(this.#free.pop(), this.#waiting[this.#next++]);
    }
    if (this.#next < this.#waiting.length) return;
    this.#waiting = [];
    this.#next = 0;
  }

  async #send(http, { step, dueMs }) {
    const session = this.#share[Math.floor(Math.random() * this.#share.length)];
    const id = this.#nextId++;
    const asked = { kind: 'call', id, nonce: `n${id}`, tag: session.tag };
    try {
      const answer = await http.send('POST', this.#path, session.headers, CALLS.call.body(id, asked.nonce));
      this.#note(step, dueMs, answer, asked);
      this.#free.push(http);
    } catch (error) {
      // The connection is lost, and with it what was asked over it.
      step.errors += 1;
      step.firstError ??= String(error);
    }
    this.#open -= 1;
    this.#sendWaiting();
    if (this.#open === 0) this.#ended();
  }

  #note(step, dueMs, answer, asked) {
    const nowMs = performance.now();
    const isSettled = dueMs - step.startMs >= step.settleMs;
    if (answer.status === 503 && isRefusal(answer, asked.id)) {
      step.shed += 1;
      step.shedLatencies.push(nowMs - dueMs);
      step.lastShedMs = Math.max(step.lastShedMs, dueMs - step.startMs);
      if (dueMs - step.startMs >= step.calmMs) step.calmShed += 1;
      if (isSettled) step.settledShed += 1;
      return;
    }
    const verdict = verify(answer, asked);
    if (verdict !== 'good') {
      step[verdict.kind] += 1;
      step.firstError ??= verdict.text;
      return;
    }
    step.accepted += 1;
    if (isSettled) step.settledAccepted += 1;
    (isSettled ? step.latencies : step.firstLatencies).push(nowMs - dueMs);
  }
}

/** Exactly what the contract says of a refusal: the caller's id, and when to try again. */
export function isRefusal({ retryAfter, body }, id) {
  try {
    const message = JSON.parse(body);
    return (
      Number(retryAfter) > 0 && message.id === id && message.error?.code === -32000 && message.error.data?.reason !== undefined
    );
  } catch {
    return false;
  }
}

const sortedOf = (values) => Float64Array.from(values).sort();
const exponential = (mean) => -mean * Math.log(1 - Math.random());

const newCounts = () => ({
  ...{ accepted: 0, shed: 0, errors: 0, crossed: 0, settledAccepted: 0, settledShed: 0, calmShed: 0, unsent: 0, lastShedMs: 0 },
  ...{ firstError: undefined, startMs: 0, latencies: [], firstLatencies: [], shedLatencies: [], lateMs: [] },
});

function figuresOf({ latencies, firstLatencies, shedLatencies, lateMs, startMs, ...counts }) {
  const all = sortedOf(latencies);
  const seconds = (counts.ms - counts.settleMs) / 1000;
  return {
    ...counts,
    acceptedPerSecond: counts.settledAccepted / seconds,
    shedPerSecond: counts.settledShed / seconds,
    ...{ p50: quantile(all, 0.5), p99: quantile(all, 0.99), shedP99: quantile(sortedOf(shedLatencies), 0.99) },
    // How long it took to notice shows in the worst of the first moments.
    ...{ firstWorst: quantile(sortedOf(firstLatencies), 1), lateP99: quantile(sortedOf(lateMs), 0.99) },
  };
}

/** @param sorted ascending */
export function quantile(sorted, q) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}
