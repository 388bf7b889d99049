// What may fail, and when. Whatever is not justified by a fault that was under way breaks an invariant (docs/reliability.md).

/** After a fault has ended, what it caused may still show for so long, ms: an exit to be noticed, a lease (6 s), a hold (10 s). */
const NOTICE = 3000;
const LEASE_AND_HOLD = 20_000;
const WORKER_LOST = ['kill', 'primary', 'pod'];
/** A worker that stands still is lost to its peers; `stall`: it got no processor (stalls.mjs). */
const SILENT = ['pause', 'stall'];
const STATE_LOST = [...WORKER_LOST, ...SILENT, 'drain'];

/**
 * Failure by failure: which faults justify it, for how long after their end; `edge`: only for requests that entered at that pod;
 * `begun`: only where some of the answer had come; `methods`, `servers`: only for those.
 * An outcome that is not here is never right.
 */
const ALLOWED = {
  // The worker that ran it, or passed it on, was lost in the middle of it.
  '200 -32012': [
    { kinds: [...WORKER_LOST, ...SILENT], afterMs: NOTICE },
    // A stdio backend that is still busy at the end of the drain ends with its worker.
    { kinds: ['drain'], afterMs: 0, servers: ['again', 'mortal'] },
  ],
  // Redis is away, or an owner is, for longer than a request is held.
  '503 -32000': [{ kinds: ['redis-pause', 'redis-restart', 'primary', 'pod', ...SILENT], afterMs: LEASE_AND_HOLD }],
  // The connection of the client ended with the worker that held it.
  lost: [
    { kinds: WORKER_LOST, afterMs: NOTICE, edge: true },
    // Half of a JSON answer had come from the owner when it was lost: nothing true can be added to it.
    { kinds: [...WORKER_LOST, ...SILENT], afterMs: NOTICE, begun: true },
  ],
  'stream broken': [{ kinds: WORKER_LOST, afterMs: NOTICE, edge: true }],
  // Nobody listens in either pod.
  refused: [{ kinds: ['primary', 'pod', 'drain'], afterMs: NOTICE }],
  // The state of a stdio backend is gone: its session ends truthfully.
  gone: [
    { kinds: STATE_LOST, afterMs: LEASE_AND_HOLD, servers: ['mortal'], sinceOpen: true },
    // The owner ended the session and died before it had said so; the edge asked the next one.
    { kinds: [...WORKER_LOST, ...SILENT], afterMs: NOTICE, methods: ['DELETE'] },
  ],
};

/**
 * @param run `{ ledger, faults, record, stdioNonces, leftovers, keys, drains, unended }`
 * @returns `{ breaches: [{ what, count, first }], failures, calls, … }`
 */
export function judge(run) {
  const breaches = new Breaches();
  const { entries, wrong, stateLosses } = run.ledger;
  for (const entry of entries) judgeEntry(entry, run.faults, breaches);
  for (const { what, detail, server, atMs } of wrong)
    breaches.add('wrong answer', `${what} (${server}, ${seconds(atMs)}): ${detail}`);
  judgeStateLosses(stateLosses, run.faults, breaches);
  const executions = judgeExecutions(entries, run, breaches);
  const backend = judgeBackend(run, breaches);
  for (const left of run.leftovers) breaches.add('process left behind', left);
  for (const left of run.keys) breaches.add('key left behind', left);
  for (const { pod, code, signal } of run.drains) if (code !== 0) breaches.add('drain ended badly', `${pod}: ${code ?? signal}`);
  if (run.unended > 0) breaches.add('session that could not be ended', run.unended, run.unended);
  return { breaches: breaches.list(), ...summarize(entries), ...executions, ...backend };
}

function judgeEntry(entry, faults, breaches) {
  const { outcome } = entry;
  if (outcome === 'ok' || outcome === 'wrong') return;
  const what =
    outcome === 'gone' && entry.server !== 'mortal' ? 'lost session' : `failure without a cause: ${outcome ?? 'no outcome'}`;
  if (outcome === '503 -32000' && !entry.retryAfter) breaches.add('503 without Retry-After', describe(entry));
  if (!(ALLOWED[outcome] ?? []).some((rule) => isJustified(entry, rule, faults))) breaches.add(what, describe(entry));
}

function isJustified(entry, { kinds, afterMs, edge, begun, methods, servers, sinceOpen }, faults) {
  if ((servers && !servers.includes(entry.server)) || (methods && !methods.includes(entry.method))) return false;
  if (begun && !entry.begun) return false;
  const fromMs = sinceOpen ? entry.sinceMs : entry.startMs;
  return faults.some(
    (fault) =>
      kinds.includes(fault.kind) &&
      fault.startMs <= entry.endMs &&
      (fault.endMs ?? Number.POSITIVE_INFINITY) + afterMs >= fromMs &&
      (!edge || fault.pod === entry.edge),
  );
}

/** An HTTP backend here never loses a session; only `reinitialize` may go on with lost state, and only when a worker was hit. */
function judgeStateLosses(losses, faults, breaches) {
  for (const { server, atMs, sinceMs } of losses) {
    const rule = { kinds: STATE_LOST, afterMs: LEASE_AND_HOLD, servers: ['again'] };
    const entry = { server, startMs: sinceMs, endMs: atMs };
    if (!isJustified(entry, rule, faults)) breaches.add('state lost without a word', `${server} at ${seconds(atMs)}`);
  }
}

/** A call never runs twice; one that was answered ran; one that was refused as "not begun" did not. */
function judgeExecutions(entries, { record, stdioNonces }, breaches) {
  const runs = new Map(record.runs);
  for (const nonce of stdioNonces) runs.set(nonce, (runs.get(nonce) ?? 0) + 1);
  let duplicates = 0;
  const unknown = { ran: 0, didNot: 0 };
  for (const entry of entries) {
    if (entry.nonce === undefined) continue;
    const count = runs.get(entry.nonce) ?? 0;
    runs.delete(entry.nonce);
    if (count > 1) {
      duplicates += 1;
      breaches.add('duplicate', `${describe(entry)}: ran ${count} times`);
    }
    if (entry.outcome === 'ok' && count === 0) breaches.add('answered but never ran', describe(entry));
    if (/^(503|refused)/.test(entry.outcome) && count > 0) breaches.add('said not to have begun, but ran', describe(entry));
    if (entry.outcome === '200 -32012') unknown[count > 0 ? 'ran' : 'didNot'] += 1;
  }
  for (const [nonce] of runs) breaches.add('ran a call that nobody sent', nonce);
  return { duplicates, unknown };
}

function judgeBackend({ record, faults }, breaches) {
  const open = record.sessions.filter(({ ended }) => ended === 0);
  const leaked = open.filter(({ used }) => used > 0);
  // A crash between a backend's initialize and the saving of its id orphans at most that id, and nothing else was sent with it.
  const orphaned = open.length - leaked.length;
  const crashes = faults.filter(({ kind }) => WORKER_LOST.includes(kind) || kind.startsWith('redis')).length;
  for (const { tag } of leaked) breaches.add('leaked backend session', tag);
  if (orphaned > crashes) breaches.add('orphaned backend session', `${orphaned}, with ${crashes} crashes`);
  for (const { what, session } of record.breaches) breaches.add(`backend saw: ${what}`, session);
  return { backendSessions: record.sessions.length, leaked: leaked.length, orphaned };
}

function summarize(entries) {
  const calls = entries.filter(({ method }) => method !== 'GET');
  const failures = {};
  let longest;
  for (const entry of entries) {
    if (entry.outcome !== 'ok') {
      const kind = `${entry.outcome} (${entry.method === 'GET' ? 'GET' : entry.server})`;
      failures[kind] = (failures[kind] ?? 0) + 1;
    }
    if (entry.method !== 'GET' && (longest === undefined || entry.endMs - entry.startMs > longest.endMs - longest.startMs)) {
      longest = entry;
    }
  }
  return {
    calls: calls.length,
    ok: calls.filter(({ outcome }) => outcome === 'ok').length,
    sessions: calls.filter(({ method, outcome }) => method === 'initialize' && outcome === 'ok').length,
    streams: entries.length - calls.length,
    failures,
    lostSessions: entries.filter(({ outcome, server, method }) => outcome === 'gone' && server === 'http' && method !== 'DELETE')
      .length,
    longest: longest && { ms: longest.endMs - longest.startMs, what: describe(longest) },
  };
}

class Breaches {
  #byWhat = new Map();

  add(what, detail, count = 1) {
    const known = this.#byWhat.get(what) ?? { what, count: 0, examples: [] };
    known.count += count;
    if (known.examples.length < 5) known.examples.push(String(detail));
    this.#byWhat.set(what, known);
  }

  list() {
    return [...this.#byWhat.values()];
  }
}

const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
const describe = ({ server, method, nonce, startMs, endMs, outcome, detail, edge }) =>
  `${server} ${method} ${nonce ?? ''} from ${seconds(startMs)} to ${endMs === undefined ? '…' : seconds(endMs)} at ${edge ?? '?'}: ${outcome} ${detail ?? ''}`.trim();
