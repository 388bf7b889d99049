// Workers that got no processor: on a crowded machine a worker may stand still for seconds without any fault of ours. To its peers
// that is a pause, so it is judged as one, and counted, so that nobody takes such a run for a quiet one.
import { readFileSync } from 'node:fs';

const EVERY_MS = 500;
/** Shorter than the three periods of a second after which a peer counts as silent. */
const STALL_MS = 1000;

export class Stalls {
  /** As faults are: `{ kind: 'stall', startMs, endMs, pod, pids }`. */
  seen = [];
  #places;
  #now;
  #timer;
  #last = new Map();

  constructor(places, now) {
    this.#places = places;
    this.#now = now;
  }

  start() {
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  #look() {
    for (const place of this.#places) for (const pid of place.workers()) this.#lookAt(place, pid);
  }

  #lookAt(place, pid) {
    const waitedMs = waitedForProcessor(pid);
    if (waitedMs === undefined) return;
    const now = this.#now();
    const last = this.#last.get(pid);
    // The waiting is known in small sums only; what counts is whether they fill a second within a few looks.
    const recent = [...(last ?? []), { now, waitedMs }].filter((look) => now - look.now < 4 * EVERY_MS + STALL_MS);
    this.#last.set(pid, recent);
    if (waitedMs - recent[0].waitedMs < STALL_MS) return;
    this.seen.push({ kind: 'stall', startMs: recent[0].now, endMs: now, pod: place.name, pids: [pid] });
    this.#last.set(pid, [{ now, waitedMs }]);
  }
}

/** Time that the main thread was ready to run and did not, ms; undefined where the kernel does not say. */
function waitedForProcessor(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return undefined;
  }
}
