// Backend sessions still to be ended, and those that were given up.
import { button, make, setAttribute, setText } from './dom.js';
import { count, duration, visible } from './format.js';
import { makePager } from './pager.js';
import { makeTable } from './table.js';

const LABELS = { failed: 'Given up', delayed: 'Tried again later', waiting: 'Waiting' };
export const TEARDOWN_STATES = Object.keys(LABELS);
export const TEARDOWNS_A_PAGE = 25;

/**
 * @param {HTMLElement} section
 * @param {{ onChange: () => void, onRetry: (job: any) => void, onRetryAll: () => void, onDrop: (job: any) => void }} parts
 */
export function makeTeardownsView(section, { onChange, onRetry, onRetryAll, onDrop }) {
  let state = 'failed';
  const pager = makePager({ label: 'Pages of teardowns', onChange });
  const tabs = TEARDOWN_STATES.map((key) => ({ key, ...makeTab(key, () => choose(key)) }));
  const all = button('Retry all', onRetryAll, { class: 'small' });
  const table = makeTable({
    caption: 'Teardowns',
    empty: 'None.',
    keyOf: ({ id }) => id,
    columns: [
      { label: 'Backend', text: ({ backend }) => visible(backend) },
      { label: 'Reason', text: ({ reason }) => visible(reason ?? '') },
      { label: 'Attempts', isNumber: true, text: ({ attempts }) => count(attempts) },
      { label: 'Age', isNumber: true, text: ({ ageSeconds }) => duration(ageSeconds) },
      {
        label: 'Session',
        build: (cell) => {
          cell.classList.add('code', 'cut');
          return ({ session }) => setText(cell, session ?? '');
        },
        title: ({ session }) => session ?? '',
      },
      {
        label: 'Actions',
        isAction: true,
        build: (cell, current) => {
          const retry = button('Retry', () => onRetry(current()), { class: 'small' });
          const drop = button('Drop', () => onDrop(current()), { class: 'small' });
          cell.classList.add('buttons');
          cell.append(retry, drop);
          return (job) => {
            setAttribute(retry, 'hidden', job.state !== 'failed');
            setAttribute(retry, 'aria-label', `Retry the teardown at ${job.backend} of session ${job.session}`);
            setAttribute(drop, 'aria-label', `Drop the teardown at ${job.backend} of session ${job.session}`);
          };
        },
      },
    ],
  });
  const bar = make(
    'div',
    { class: 'tabs', role: 'group', 'aria-label': 'State of teardowns' },
    ...tabs.map(({ element }) => element),
    all,
  );
  section.append(bar, table.element, pager.element);
  showTabs();

  function choose(key) {
    state = key;
    pager.reset();
    showTabs();
    onChange();
  }

  function showTabs() {
    for (const { key, element } of tabs) setAttribute(element, 'aria-pressed', String(key === state));
  }

  return {
    get state() {
      return state;
    },
    get cursor() {
      return pager.cursor;
    },
    /** @param {{ totals: Record<string, number>, page: any, state: string }} data */
    update({ totals, page, state: of }) {
      for (const { key, number } of tabs) setText(number, count(totals[key]));
      setAttribute(all, 'hidden', state !== 'failed' || !totals.failed);
      // What was asked for before another one was chosen.
      if (of !== state) return;
      table.update(page.teardowns);
      pager.update(page.cursor);
    },
    restart: () => choose(state),
  };
}

function makeTab(key, onClick) {
  const number = make('span', { class: 'number' }, '–');
  const element = button(`${LABELS[key]} `, onClick, { class: 'tab' });
  element.append(number);
  return { element, number };
}
