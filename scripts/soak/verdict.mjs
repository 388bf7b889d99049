// Whether anything grows. A straight line through the samples after the warm-up; what counts is how much it rises over that time.

const MIB = 2 ** 20;
/** By kind of series: a rise of this share of the mean, or of so much, is no leak yet. */
export const LIMITS = {
  heap: { share: 0.05, least: 3 * MIB, unit: 'bytes' },
  rss: { share: 0.08, least: 12 * MIB, unit: 'bytes' },
  redis: { share: 0.1, least: MIB, unit: 'bytes' },
  files: { share: 0.15, least: 15, unit: '' },
  keys: { share: 0.15, least: 40, unit: '' },
  clients: { share: 0, least: 1, unit: '' },
  sessions: { share: 0.2, least: 30, unit: '' },
  connections: { share: 0.15, least: 15, unit: '' },
};
/** A slope of less than so many of its standard errors may be chance. */
const CERTAIN = 3;
/** Fewer samples say nothing. */
const FEWEST = 6;

/** Least squares. @param points `[x, y]`. @returns `{ slope, error, mean }`; `error`: standard error of the slope */
export function fitLine(points) {
  const n = points.length;
  const mean = (at) => points.reduce((sum, point) => sum + point[at], 0) / n;
  const [meanX, meanY] = [mean(0), mean(1)];
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
  const left = points.reduce((sum, [x, y]) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0);
  return { slope, error: Math.sqrt(left / Math.max(1, n - 2) / spread), mean: meanY };
}

/**
 * @param samples `[{ seconds, values: { name: { kind, value } } }]`, in order; a name that is missing in some of them (a process that
 *   was replaced) is judged by those that have it
 * @param fromSeconds the warm-up ends there
 * @returns `[{ name, kind, mean, perMinute, rise, allowed, verdict }]`; verdict: flat, grows, or `too few`
 */
export function judgeSeries(samples, fromSeconds) {
  const series = new Map();
  for (const { seconds, values } of samples) {
    for (const [name, { kind, value }] of Object.entries(values)) {
      if (!series.has(name)) series.set(name, { kind, points: [] });
      if (seconds >= fromSeconds) series.get(name).points.push([seconds, value]);
    }
  }
  return [...series].map(([name, { kind, points }]) => {
    if (points.length < FEWEST) return { name, kind, verdict: 'too few' };
    const { slope, error, mean } = fitLine(points);
    const rise = slope * (points.at(-1)[0] - points[0][0]);
    const { share, least } = LIMITS[kind];
    const allowed = Math.max(least, share * mean);
    const grows = rise > allowed && slope > CERTAIN * error;
    return { name, kind, mean, perMinute: slope * 60, rise, allowed, verdict: grows ? 'grows' : 'flat' };
  });
}

/**
 * @param run `{ series, failures, wrong, leftKeys, openBackendSessions, breaches, before, after }`; `before` and `after`: samples without
 *   any session
 * @returns what is wrong, as text; [] if nothing is
 */
export function judgeRun({ series, failures, wrong, leftKeys, openBackendSessions, breaches, before, after }) {
  const faults = series
    .filter(({ verdict }) => verdict !== 'flat')
    .map(({ name, verdict }) => (verdict === 'grows' ? `${name} grows` : `${name}: too few samples to judge`));
  for (const { what, count, first } of failures) faults.push(`${count} failed: ${what}, first: ${first}`);
  for (const { what, detail } of wrong) faults.push(`wrong answer: ${what}: ${detail}`);
  if (leftKeys.length > 0) faults.push(`${leftKeys.length} keys are left in Redis: ${leftKeys.slice(0, 5).join(' ')}`);
  if (openBackendSessions > 0) faults.push(`${openBackendSessions} backend sessions were not ended`);
  for (const { what, session } of breaches.slice(0, 5)) faults.push(`a backend saw: ${what} (${session})`);
  for (const [name, { kind, value }] of Object.entries(after.values)) {
    const first = before.values[name];
    if (!['files', 'clients', 'connections'].includes(kind) || !first) continue;
    // Kept connections to backends and to peers may be open still.
    const allowed = first.value + RESTING[kind];
    if (value > allowed) faults.push(`${name}: ${value} after the last session, ${first.value} before the first`);
  }
  return faults;
}

/** What may stay open without a session. */
const RESTING = { files: 40, clients: 2, connections: 160 };
