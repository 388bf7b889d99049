// The cluster in a line, and what is to be said of its state. Knows no DOM.
import { clockTime, count, plural } from './format.js';

/** How long a worker that is gone stays in sight, ms. */
export const GONE_FOR_MS = 30_000;

/**
 * Workers as they are now, with those that vanished a short while ago: who saw it alive should see what became of it.
 * @param {readonly any[]} shown as shown last, `goneMs` on those that were gone
 * @param {readonly any[]} listed as the API has them
 * @param {number} nowMs
 */
export function withGone(shown, listed, nowMs) {
  const ids = new Set(listed.map(({ id }) => id));
  const gone = shown
    .filter(({ id }) => !ids.has(id))
    .map((worker) => ({ ...worker, goneMs: worker.goneMs ?? nowMs }))
    .filter(({ goneMs }) => nowMs - goneMs < GONE_FOR_MS);
  return [...listed, ...gone].sort(byPlace);
}

const byPlace = (a, b) => compare(a.host, b.host) || compare(a.pod, b.pod) || a.index - b.index || compare(b.started, a.started);

const compare = (a, b) => (a === b ? 0 : a < b ? -1 : 1);

/**
 * A page of sessions in an order that stays: the API has those first that end first, and every use of one changes that.
 * @param {readonly any[]} sessions
 */
export const inStableOrder = (sessions) =>
  [...sessions].sort((a, b) => compare(a.created ?? '', b.created ?? '') || compare(a.ref, b.ref));

const sum = (rows, field) => rows.reduce((total, row) => total + (row[field] ?? 0), 0);

/**
 * Figures of the cluster.
 * @param {any} data what was answered last, by name of the question; undefined where nothing ever was
 * @returns {Array<{ key: string, label: string, value: string, note: string, kind: 'good' | 'warn' | 'bad' | '' }>}
 */
export function figures({ workers, sessions, backends, teardowns, redis }) {
  return [workersFigure(workers), sessionsFigure(workers, sessions), streamsFigure(workers), backendsFigure(backends)].concat([
    figure(
      'redis',
      'Redis',
      redis === undefined ? '–' : redis ? 'answers' : 'away',
      '',
      redis === false ? 'bad' : redis ? 'good' : '',
    ),
    teardownsFigure(teardowns),
  ]);
}

/** @returns {any} */
const figure = (key, label, value, note = '', kind = '') => ({ key, label, value, note, kind });

function workersFigure(workers) {
  if (!workers) return figure('workers', 'Workers alive', '–');
  const silent = workers.filter(({ answered }) => !answered).length;
  const draining = workers.filter(({ draining }) => draining).length;
  const pods = new Set(workers.map(({ pod }) => pod)).size;
  const notes = [`in ${plural(pods, 'pod')}`];
  if (silent) notes.push(`${silent} silent`);
  if (draining) notes.push(`${draining} draining`);
  return figure(
    'workers',
    'Workers alive',
    count(workers.length),
    notes.join(' · '),
    workers.length === 0 ? 'bad' : silent ? 'warn' : '',
  );
}

function sessionsFigure(workers, sessions) {
  const served = workers ? `${count(sum(workers, 'sessions'))} at a worker` : '';
  return figure('sessions', 'Sessions', sessions ? count(sessions.total) : '–', served);
}

const streamsFigure = (workers) =>
  figure(
    'streams',
    'Open streams',
    workers ? count(sum(workers, 'streams')) : '–',
    workers ? plural(sum(workers, 'backendSessions'), 'backend session') : '',
  );

function backendsFigure(backends) {
  if (!backends) return figure('backends', 'Backends up', '–');
  const counts = { up: 0, degraded: 0, down: 0, unknown: 0 };
  for (const { state } of backends) counts[state] += 1;
  const notes = ['down', 'degraded', 'unknown'].flatMap((state) => {
    if (!counts[state]) return [];
    return [`${counts[state]} ${state === 'unknown' ? 'not used yet' : state}`];
  });
  const kind = counts.down ? 'bad' : counts.degraded ? 'warn' : '';
  return figure('backends', 'Backends up', `${counts.up} of ${backends.length}`, notes.join(' · '), kind);
}

function teardownsFigure(totals) {
  if (!totals) return figure('teardowns', 'Teardowns failed', '–');
  const under = (totals.waiting ?? 0) + (totals.delayed ?? 0);
  return figure(
    'teardowns',
    'Teardowns failed',
    count(totals.failed),
    under ? `${count(under)} to come` : 'none to come',
    totals.failed ? 'warn' : '',
  );
}

/**
 * What the line at the top says. It changes with the state alone, never with the time: it is read aloud.
 * @param {{ lastMs: number | undefined, failure: { kind: string, message: string, code: string } | undefined }} state
 * @returns {{ kind: 'good' | 'bad' | 'wait', text: string }}
 */
export function stateLine({ lastMs, failure }) {
  if (!failure) return lastMs === undefined ? { kind: 'wait', text: 'Asking the admin API …' } : { kind: 'good', text: 'Live' };
  if (failure.kind === 'token') return { kind: 'wait', text: 'Waiting for the admin token' };
  if (failure.kind === 'refused') return { kind: 'bad', text: `${failure.message} (${failure.code}). Trying again by itself` };
  if (lastMs === undefined) return { kind: 'bad', text: 'The admin API does not answer. Trying again by itself' };
  return {
    kind: 'bad',
    text: `The admin API has not answered since ${clockTime(lastMs)}. What you see is as old as that; trying again by itself`,
  };
}
