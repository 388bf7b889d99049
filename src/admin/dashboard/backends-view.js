// Backends: one line each, and what every worker says of it on demand.
import { keyedList, make, setAttribute, setText } from './dom.js';
import { ageOf, count, plural, serverName, splitWorker, untilText, visible } from './format.js';
import { buildBadge, buildWorkerName, makeTable } from './table.js';

const KINDS = { up: 'good', degraded: 'warn', down: 'bad', unknown: 'off' };
const WORDS = { unknown: 'unused' };
const word = (state) => WORDS[state] ?? state;

/** @param {HTMLElement} section */
export function makeBackendsView(section) {
  const list = make('ul', { class: 'rows' });
  const nothing = make('p', { class: 'nothing', hidden: true }, 'No backends are configured (mcpServers).');
  section.append(list, nothing);
  const entries = new WeakMap();
  const fill = keyedList(list, {
    keyOf: ({ name }) => name,
    make: () => {
      const entry = makeEntry();
      entries.set(entry.element, entry.update);
      return entry.element;
    },
    update: (element, row) => entries.get(element)(row),
  });
  let nowMs = 0;

  function makeEntry() {
    const badgeCell = make('span');
    const badge = buildBadge(badgeCell);
    const name = make('strong');
    const reason = make('span', { class: 'reason' });
    const where = make('span', { class: 'code quiet cut' });
    const used = make('span', { class: 'quiet' });
    const table = makeWorkersTable();
    const details = make(
      'details',
      {},
      make(
        'summary',
        {},
        make('span', { class: 'line' }, badgeCell, name, reason),
        make('span', { class: 'line second' }, where, used),
      ),
      table.element,
    );
    const element = make('li', {}, details);
    let row;
    const fillTable = () => {
      if (details.open && row) table.update(row.workers, { nowMs });
    };
    // Not filled while it is closed: of a hundred backends on a hundred workers nobody reads all.
    details.addEventListener('toggle', fillTable);
    return {
      element,
      update(next) {
        row = next;
        badge(word(row.state), KINDS[row.state] ?? 'off');
        setText(name, row.name);
        setText(reason, visible(row.reason ?? ''));
        setText(where, `${row.type} · ${visible(row.url ?? row.command ?? '')}`);
        setAttribute(where, 'title', visible(row.url ?? row.command ?? ''));
        setText(used, usedText(row));
        fillTable();
      },
    };
  }

  return {
    /** @param {readonly any[]} backends @param {number} now */
    update(backends, now) {
      nowMs = now;
      fill(backends);
      setAttribute(nothing, 'hidden', backends.length > 0);
    },
  };
}

function usedText({ servers, workers }) {
  const open = workers.reduce((total, { sessions }) => total + (sessions ?? 0), 0);
  const probes = workers.map(({ nextProbe }) => nextProbe).filter(Boolean);
  return [
    plural(open, 'session'),
    servers.length ? `in ${servers.map(serverName).join(', ')}` : 'in no server',
    ...(probes.length ? ['is probed'] : []),
  ].join(' · ');
}

const makeWorkersTable = () =>
  makeTable({
    caption: 'What each worker says',
    empty: 'No worker has told anything.',
    keyOf: ({ worker }) => worker,
    columns: [
      {
        label: 'Worker',
        build: (cell) => {
          const fill = buildWorkerName(cell);
          return ({ worker }) => fill(splitWorker(worker).name, '');
        },
        title: ({ worker }) => worker,
      },
      {
        label: 'State',
        build: (cell) => {
          const badge = make('span');
          const fill = buildBadge(badge);
          const reason = make('span', { class: 'reason' });
          cell.classList.add('line');
          cell.append(badge, reason);
          return ({ answered, state, reason: why }) => {
            if (answered) fill(word(state ?? 'unknown'), KINDS[state] ?? 'off');
            else fill('silent', 'bad');
            setText(reason, visible(why ?? ''));
          };
        },
      },
      { label: 'For', isNumber: true, text: ({ since }, { nowMs }) => ageOf(since, nowMs) },
      { label: 'Failures', isNumber: true, text: ({ failures }) => (failures ? count(failures) : '') },
      {
        label: 'Last error',
        text: ({ lastError }, { nowMs }) => (lastError ? `${visible(lastError.reason)}, ${ageOf(lastError.at, nowMs)} ago` : ''),
      },
      { label: 'Next probe', isNumber: true, text: ({ nextProbe }, { nowMs }) => untilText(nextProbe, nowMs) },
      { label: 'Sessions', isNumber: true, text: ({ sessions }) => count(sessions) },
    ],
  });
