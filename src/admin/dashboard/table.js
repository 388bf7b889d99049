// A table of rows with keys: cells are filled in place. On narrow screens the style sheet shows each row as a block, with the labels beside
// the values; roles are written out, because a table that is no longer laid out as one loses them.
import { keyedList, make, setAttribute, setText } from './dom.js';

/**
 * @typedef {object} Column
 * @property {string} label
 * @property {boolean} [isNumber]
 * @property {boolean} [isAction] no label on narrow screens
 * @property {(row: any, context: any) => string} [text]
 * @property {(row: any, context: any) => string} [title] the whole of what is cut off
 * @property {(cell: HTMLElement, current: () => any) => (row: any, context: any) => void} [build] more than text: makes the content once and
 *   gives what fills it
 */

/**
 * @param {{ caption: string, columns: readonly Column[], keyOf: (row: any) => string, empty: string,
 *   mark?: (row: any) => string | undefined }} parts `mark`: a class of the row
 */
export function makeTable({ caption, columns, keyOf, empty, mark }) {
  const body = make('tbody', { role: 'rowgroup' });
  const nothing = make('p', { class: 'nothing', hidden: true }, empty);
  const heads = columns.map(({ label, isNumber, isAction }) =>
    make(
      'th',
      { scope: 'col', role: 'columnheader', class: isNumber ? 'number' : undefined },
      isAction ? make('span', { class: 'unseen' }, label) : label,
    ),
  );
  const table = make(
    'table',
    { role: 'table' },
    make('caption', { class: 'unseen' }, caption),
    make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' }, ...heads)),
    body,
  );
  let context;
  const fillers = new WeakMap();
  const fill = keyedList(body, {
    keyOf,
    make: (row) => {
      const held = { row };
      const cells = columns.map((column) => makeCell(column, () => held.row));
      const element = make('tr', { role: 'row' }, ...cells.map(({ cell }) => cell));
      fillers.set(element, (next) => {
        held.row = next;
        for (const cell of cells) cell.fill(next, context);
      });
      return element;
    },
    update: (element, row) => {
      fillers.get(element)(row);
      setAttribute(element, 'class', mark?.(row));
    },
  });
  return {
    element: make('div', { class: 'table' }, table, nothing),
    /** @param {readonly any[]} rows @param {any} [given] passed on to the columns */
    update(rows, given) {
      context = given;
      fill(rows);
      setAttribute(table, 'hidden', rows.length === 0);
      setAttribute(nothing, 'hidden', rows.length > 0);
    },
  };
}

/** @param {Column} column @param {() => any} current */
function makeCell({ label, isNumber, isAction, text, title, build }, current) {
  const cell = make('td', { role: 'cell', class: isNumber ? 'number' : isAction ? 'action' : undefined, 'data-label': label });
  // One child: on narrow screens the label stands beside it.
  const inner = make('div');
  cell.append(inner);
  const fillBuilt = build?.(inner, current);
  return {
    cell,
    fill(row, context) {
      if (fillBuilt) fillBuilt(row, context);
      else setText(inner, text?.(row, context) ?? '');
      if (title) setAttribute(inner, 'title', title(row, context) || undefined);
    },
  };
}

/** A worker by the name that stays, its incarnation smaller. @param {HTMLElement} cell */
export function buildWorkerName(cell) {
  const name = make('span', { class: 'code' });
  const incarnation = make('span', { class: 'code quiet' });
  cell.classList.add('worker-name');
  cell.append(name, incarnation);
  return (/** @type {string} */ first, /** @type {string} */ second) => {
    setText(name, first);
    setText(incarnation, second);
  };
}

/** A word in a colour; the word says it all. @param {HTMLElement} cell */
export function buildBadge(cell) {
  const badge = make('span', { class: 'badge' });
  cell.append(badge);
  return (/** @type {string} */ word, /** @type {string} */ kind) => {
    setText(badge, word);
    setAttribute(badge, 'data-kind', kind);
  };
}
