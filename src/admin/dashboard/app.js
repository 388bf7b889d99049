// The page: asks, keeps the last answers, shows them, and does what it is told.
import { actions } from './actions.js';
import { ApiFailure, isSendable, makeApi } from './api-client.js';
import { makeBackendsView } from './backends-view.js';
import { collect, orLate } from './collect.js';
import { askForToken } from './dialogs.js';
import { byId, keyedList, make, setAttribute, setText } from './dom.js';
import { clockTime } from './format.js';
import { Poller } from './poller.js';
import { makeServersView } from './servers-view.js';
import { makeSessionsView } from './sessions-view.js';
import { figures, stateLine, withGone } from './summary.js';
import { makeTeardownsView, TEARDOWN_STATES, TEARDOWNS_A_PAGE } from './teardowns-view.js';
import { makeTokenStore } from './token-store.js';
import { makeWorkersView } from './workers-view.js';

const EVERY_MS = 2000;
const MAX_MS = 15_000;
/** What changes rarely is asked in every third round. */
const SLOW_ROUNDS = 3;

const token = makeTokenStore(() => sessionStorage);
/** What the clock of the gateway is ahead of ours, ms. */
let aheadMs = 0;
const api = makeApi({
  fetch: (...args) => fetch(...args),
  token: token.get,
  onTime: (serverMs) => {
    // To the second; ages that jump about by one would be worse than one second wrong.
    const ahead = serverMs - Date.now();
    if (Math.abs(ahead - aheadMs) > 2000) aheadMs = ahead;
  },
});

/** @type {Record<string, any>} what was answered last */
const data = {};
/** @type {any[]} */
let workers = [];
/** @type {any} */
let failure;
/** @type {number | undefined} */
let lastMs;
let sinceMs = Date.now();
let round = 0;

const poller = new Poller({
  ask,
  onMistake: reportError,
  later: (run, ms) => setTimeout(run, ms),
  cancel: (timer) => clearTimeout(timer),
  everyMs: EVERY_MS,
  maxMs: MAX_MS,
});
/** After a change: everything, at once. */
const askAll = () => {
  round = 0;
  poller.soon();
};

const act = actions({ api, onDone: askAll });
const sessionsView = makeSessionsView(byId('sessions'), { onChange: askAll, onEnd: act.endSession });
const workersView = makeWorkersView(byId('workers'), { onOwner: sessionsView.showOwner });
const backendsView = makeBackendsView(byId('backends'));
const serversView = makeServersView(byId('servers'));
const teardownsView = makeTeardownsView(byId('teardowns'), {
  onChange: askAll,
  onRetry: act.retry,
  onRetryAll: act.retryAll,
  onDrop: act.drop,
});
const showFigures = keyedList(byId('figures'), {
  keyOf: ({ key }) => key,
  make: ({ label }) =>
    make('div', {}, make('dt', {}, label), make('dd', {}, make('span', { class: 'value' }), make('span', { class: 'note' }))),
  update: (element, { key, value, note, kind }) => {
    setAttribute(element, 'data-figure', key);
    setAttribute(element, 'data-kind', kind || undefined);
    setText(element.querySelector('.value'), value);
    setText(element.querySelector('.note'), note);
  },
});

async function ask() {
  // Before anything was ever answered the token may be missing: that need not be told by each of them.
  if (lastMs === undefined) {
    const { failure: refused } = await collect({ pod: () => api('api/pod') });
    if (refused?.kind === 'token') return signIn();
  }
  const isSlow = round % SLOW_ROUNDS === 0;
  round += 1;
  const sessionQuery = sessionsView.query;
  const {
    answers,
    failures,
    failure: worst,
  } = await collect({
    pod: () => api('api/pod'),
    workers: () => api('api/workers'),
    backends: () => api('api/backends'),
    sessions: () => api('api/sessions', sessionQuery),
    ...(isSlow && { servers: () => api('api/servers'), teardowns: askTeardowns }),
  });
  if (worst?.kind === 'token') return signIn();
  // Another page or filter was chosen meanwhile: this is none of it, nor is its cursor.
  if (JSON.stringify(sessionsView.query) !== JSON.stringify(sessionQuery)) delete answers.sessions;
  restartLists(failures);
  failure = worst;
  if (!worst) lastMs = Date.now();
  Object.assign(data, answers);
  if (worst?.code === 'REDIS_AWAY') data.redis = false;
  else if (answers.sessions) data.redis = true;
  if (answers.workers) workers = withGone(workers, answers.workers.workers, Date.now());
  show();
  return !worst;
}

/** The totals of all states, and a page of the one that is looked at. */
async function askTeardowns() {
  const { state, cursor } = teardownsView;
  const pages = await Promise.all(
    TEARDOWN_STATES.map((one) =>
      api('api/teardowns', one === state ? { state, cursor, limit: TEARDOWNS_A_PAGE } : { state: one, limit: 1 }),
    ),
  );
  const totals = Object.fromEntries(TEARDOWN_STATES.map((one, i) => [one, pages[i].total]));
  return { totals, state, page: pages[TEARDOWN_STATES.indexOf(state)] };
}

/** A cursor that is not understood, after an update of the gateway: from the first page, or it would be refused for ever. */
function restartLists(failures) {
  if (failures.sessions?.code === 'BAD_CURSOR') sessionsView.restart();
  if (failures.teardowns?.code === 'BAD_CURSOR') teardownsView.restart();
}

/** Nothing is asked until there is a token: each attempt would be refused. */
function signIn() {
  poller.pause();
  failure = new ApiFailure('token', '');
  const problem = token.get() ? 'This is not the token of this gateway.' : '';
  token.set('');
  show();
  askForToken(problem, (given) => {
    if (!isSendable(given)) return 'A token has no blanks and no characters beyond ASCII. Copy it again.';
    token.set(given);
    sinceMs = Date.now();
    failure = undefined;
    round = 0;
    poller.resume();
    return '';
  });
  return false;
}

function show() {
  const told = showState();
  // Ages and leases stand still with what they belong to.
  const nowMs = aheadMs + (told && lastMs !== undefined ? lastMs : Date.now());
  setText(byId('version'), data.pod?.version ?? '');
  showFigures(
    figures({
      workers: data.workers?.workers,
      sessions: data.sessions,
      backends: data.backends?.backends,
      teardowns: data.teardowns?.totals,
      // While nobody answers nobody knows.
      redis: told && told.code !== 'REDIS_AWAY' ? undefined : data.redis,
    }),
  );
  if (data.workers) workersView.update(workers, nowMs);
  if (data.backends) backendsView.update(data.backends.backends, nowMs);
  if (data.servers) serversView.update(data.servers.servers);
  if (data.servers && data.workers) sessionsView.showOptions(data.servers.servers, data.workers.workers);
  const alive = data.workers && new Set(data.workers.workers.map(({ id }) => id));
  if (data.sessions) sessionsView.update(data.sessions, nowMs, alive);
  if (data.teardowns) teardownsView.update(data.teardowns);
}

/** @returns what keeps the page from being live, if anything does */
function showState() {
  const now = Date.now();
  const told = document.hidden ? failure : orLate(failure, { lastMs, sinceMs, nowMs: now });
  const { kind, text } = stateLine({ lastMs, failure: told });
  setText(byId('state'), text);
  setAttribute(byId('state'), 'data-kind', kind);
  setText(byId('clock'), lastMs === undefined ? '' : `as of ${clockTime(lastMs)}`);
  setAttribute(byId('main'), 'data-old', kind === 'bad' && lastMs !== undefined);
  setAttribute(byId('sign-out'), 'hidden', token.get() === '');
  return told;
}

byId('sign-out').addEventListener('click', () => {
  token.set('');
  location.reload();
});
document.addEventListener('visibilitychange', () => {
  if (document.hidden) poller.pause();
  else if (!byId('sign-in').open) {
    sinceMs = Date.now();
    poller.resume();
  }
});
// Ages grow between answers, and silence has to be noticed while a question is under way.
setInterval(() => {
  if (!document.hidden) show();
}, 1000);
if (!document.hidden) poller.resume();
