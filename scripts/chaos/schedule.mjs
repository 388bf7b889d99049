// What goes wrong and when: made before the run from the seed alone, so that the same seed gives the same schedule.
import { between, makeRandom, pickOf, pickWeighted } from './random.mjs';

/** What each kind does, and how often it is drawn. */
export const KINDS = {
  kill: { weight: 30, what: 'kill -9 of a worker' },
  pause: { weight: 18, what: 'SIGSTOP of a worker for 1–9 s' },
  primary: { weight: 9, what: 'kill -9 of a primary; the pod starts again' },
  pod: { weight: 9, what: 'kill -9 of every process of a pod; it starts again' },
  drain: { weight: 12, what: 'SIGTERM to a pod; a new one takes its place' },
  'redis-pause': { weight: 9, what: 'SIGSTOP of Redis for 1–10 s' },
  'redis-restart': { weight: 6, what: 'kill -9 of Redis, started again with its data after 0–3 s' },
  burst: { weight: 7, what: 'three of these within a second and a half' },
};
const SINGLE = Object.keys(KINDS).filter((kind) => kind !== 'burst');
const GAP_MS = [3500, 9000];
const FIRST_MS = 3000;
/** Nothing new begins in the last seconds: what fails then is not seen to recover. */
const QUIET_END_MS = 12_000;

/**
 * @param only kinds to draw from
 * @param pods, workers how many there are of each (workers in a pod)
 * @returns `[{ atMs, kind, pod, worker, forMs, burst }]`, by time
 */
export function makeSchedule({ seed, runMs, only, pods, workers }) {
  const random = makeRandom(seed);
  const kinds = Object.fromEntries(only.map((kind) => [kind, KINDS[kind].weight]));
  const singles = only.filter((kind) => kind !== 'burst');
  const schedule = [];
  const add = (atMs, kind, burst) => {
    const longest = kind === 'redis-pause' ? 10_000 : kind === 'pause' ? 9000 : 3000;
    const forMs = Math.round(between(random, kind === 'redis-restart' ? 0 : 1000, longest));
    const pod = Math.floor(random() * pods);
    const worker = Math.floor(random() * workers);
    schedule.push({ atMs: Math.round(atMs), kind, pod, worker, forMs, burst });
  };
  for (let atMs = FIRST_MS; atMs < runMs - QUIET_END_MS; atMs += between(random, ...GAP_MS)) {
    const kind = pickWeighted(random, kinds);
    if (kind !== 'burst') add(atMs, kind, false);
    else {
      const several = singles.length > 0 ? singles : SINGLE;
      for (let i = 0; i < 3; i += 1) add(atMs + between(random, 0, 1500), pickOf(random, several), true);
    }
  }
  return schedule.sort((a, b) => a.atMs - b.atMs);
}
