// Workers of all pods, and how many sessions each owns.
import { make, setAttribute, setText } from './dom.js';
import { ageOf, count, splitWorker, untilText } from './format.js';
import { buildBadge, buildWorkerName, makeTable } from './table.js';

/** @param {HTMLElement} section @param {{ onOwner: (id: string) => void }} parts */
export function makeWorkersView(section, { onOwner }) {
  const table = makeTable({
    caption: 'Workers of all pods',
    empty: 'No worker has a lease.',
    keyOf: ({ id }) => id,
    mark: ({ goneMs }) => (goneMs === undefined ? undefined : 'gone'),
    columns: [
      {
        label: 'Worker',
        build: (cell) => {
          const fill = buildWorkerName(cell);
          return ({ id }) => fill(splitWorker(id).name, '');
        },
        // Another incarnation of it has another pid and age.
        title: ({ id }) => id,
      },
      { label: 'Index', isNumber: true, text: ({ index }) => String(index) },
      { label: 'Pid', isNumber: true, text: ({ pid }) => String(pid) },
      {
        label: 'Age',
        isNumber: true,
        text: ({ started, goneMs }, { nowMs }) => (goneMs === undefined ? ageOf(started, nowMs) : ''),
      },
      {
        label: 'State',
        build: (cell) => {
          const fill = buildBadge(cell);
          return (worker) => fill(...stateOf(worker));
        },
      },
      {
        label: 'Lease',
        isNumber: true,
        text: ({ leaseEnds, goneMs }, { nowMs }) => (goneMs === undefined ? untilText(leaseEnds, nowMs).replace('in ', '') : ''),
      },
      { label: 'Sessions', build: (cell, current) => buildLoad(cell, () => onOwner(current().id)) },
      { label: 'Streams', isNumber: true, text: ({ streams, goneMs }) => (goneMs === undefined ? count(streams) : '') },
    ],
  });
  section.append(table.element);
  return {
    /** @param {readonly any[]} workers those that are gone included @param {number} nowMs */
    update(workers, nowMs) {
      const most = Math.max(1, ...workers.map(({ sessions }) => sessions ?? 0));
      table.update(workers, { nowMs, most });
    },
  };
}

/** @returns {[string, string]} */
function stateOf({ goneMs, draining, answered }) {
  if (goneMs !== undefined) return ['gone', 'off'];
  if (!answered) return ['silent', 'bad'];
  return draining ? ['draining', 'warn'] : ['serving', 'good'];
}

/** A bar, and a number that shows whose they are. @param {HTMLElement} cell @param {() => void} onClick */
function buildLoad(cell, onClick) {
  const bar = make('span', { class: 'bar', 'aria-hidden': 'true' }, make('span'));
  const number = make('button', { type: 'button', class: 'link' });
  number.addEventListener('click', onClick);
  cell.classList.add('load');
  cell.append(bar, number);
  return ({ id, sessions, goneMs }, { most }) => {
    const share = goneMs === undefined ? (sessions ?? 0) / most : 0;
    // Through the object model, which the policy allows: a style attribute it would not.
    /** @type {HTMLElement} */ (bar.firstElementChild).style.inlineSize = `${(share * 100).toFixed(1)}%`;
    setText(number, goneMs === undefined ? count(sessions) : '0');
    setAttribute(number, 'disabled', goneMs !== undefined);
    setAttribute(number, 'aria-label', `${count(sessions)} sessions of ${splitWorker(id).name}: show them`);
  };
}
