// Virtual servers: what is served at which path, and what is wrong with it.
import { keyedList, make, setAttribute, setText } from './dom.js';
import { count, visible } from './format.js';
import { makeTable } from './table.js';

/** @param {HTMLElement} section */
export function makeServersView(section) {
  const table = makeTable({
    caption: 'Virtual servers',
    empty: 'Nothing is served: see servers and expose in the configuration.',
    keyOf: ({ id }) => id,
    columns: [
      { label: 'Path', build: buildPath },
      { label: 'Backends', text: ({ backends }) => backends.join(', ') },
      { label: 'Tools', isNumber: true, text: ({ tools }) => count(tools) },
      { label: 'Filter', text: ({ filter }) => filterText(filter), title: ({ filter }) => filterText(filter) },
      { label: 'Prefix', text: ({ prefix }) => prefix },
    ],
  });
  section.append(table.element);
  return { update: (/** @type {readonly any[]} */ servers) => table.update(servers) };
}

/** With what is to be warned of, which stands where it is seen. @param {HTMLElement} cell */
function buildPath(cell) {
  const path = make('span', { class: 'code' });
  const warnings = make('ul', { class: 'warnings', hidden: true });
  cell.append(path, warnings);
  const fill = keyedList(warnings, {
    keyOf: (text) => text,
    make: () => make('li'),
    update: (element, text) => setText(element, visible(text)),
  });
  return ({ path: where, warnings: told = [] }) => {
    setText(path, where);
    fill(told);
    setAttribute(warnings, 'hidden', told.length === 0);
  };
}

function filterText({ include, exclude }) {
  const all = include.length === 1 && include[0] === '*';
  const parts = [all ? 'all' : include.join(', ') || 'none'];
  if (exclude.length) parts.push(`without ${exclude.join(', ')}`);
  return visible(parts.join(' '));
}
