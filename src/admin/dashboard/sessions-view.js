// Sessions: one page of them, by filters that the API knows. Ten thousand of them cost no more than fifty.
import { button, keyedList, make, setAttribute, setText } from './dom.js';
import { ageOf, clientName, count, plural, serverName, splitWorker, visible } from './format.js';
import { makePager } from './pager.js';
import { inStableOrder } from './summary.js';
import { buildBadge, buildWorkerName, makeTable } from './table.js';

const SIZES = [25, 50, 100, 200];
const ANY = '*';

/** @param {HTMLElement} section @param {{ onChange: () => void, onEnd: (session: any) => void }} parts */
export function makeSessionsView(section, { onChange, onEnd }) {
  const server = make('select', { id: 'filter-server' });
  const owner = make('select', { id: 'filter-owner' });
  const principal = make('input', {
    id: 'filter-principal',
    type: 'search',
    placeholder: 'digest',
    maxlength: 22,
    spellcheck: 'false',
    autocomplete: 'off',
  });
  const size = make('select', { id: 'page-size' }, ...SIZES.map((value) => make('option', { value }, String(value))));
  size.value = '50';
  const shown = make('p', { class: 'quiet', id: 'sessions-shown' });
  const pager = makePager({ label: 'Pages of sessions', onChange });
  const fillServers = fillOptions(server);
  const fillOwners = fillOptions(owner);
  const again = () => {
    pager.reset();
    onChange();
  };
  for (const control of [server, owner, size, principal]) control.addEventListener('change', again);
  const table = makeTable({
    caption: 'Sessions',
    empty: 'No session here.',
    keyOf: ({ ref }) => ref,
    columns: columns(onEnd),
  });
  const form = make(
    'form',
    { class: 'filters', role: 'search', 'aria-label': 'Filter sessions' },
    field('Server', server),
    field('Owner', owner),
    field('Principal', principal),
    field('A page', size),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    again();
  });
  section.querySelector('header')?.append(shown);
  section.append(form, table.element, pager.element);
  showOptions([], []);

  /** @param {readonly any[]} servers @param {readonly any[]} workers */
  function showOptions(servers, workers) {
    fillServers([{ value: ANY, label: 'any' }, ...servers.map(({ id }) => ({ value: id, label: serverName(id) }))]);
    fillOwners([
      { value: ANY, label: 'any' },
      { value: 'none', label: 'nobody just now' },
      ...workers.map(({ id }) => ({ value: id, label: splitWorker(id).name })),
    ]);
  }

  return {
    /** What is to be asked for. */
    get query() {
      return {
        limit: size.value,
        cursor: pager.cursor,
        server: server.value === ANY ? undefined : server.value,
        owner: owner.value === ANY ? undefined : owner.value,
        principal: principal.value.trim() || undefined,
      };
    },
    showOptions,
    /** @param {string} id of a worker */
    showOwner(id) {
      owner.value = id;
      again();
      const heading = section.querySelector('h2');
      heading?.scrollIntoView({ block: 'start' });
      heading?.focus({ preventScroll: true });
    },
    /** @param {any} page @param {number} nowMs @param {ReadonlySet<string> | undefined} alive ids of workers, where they are known */
    update({ sessions, total, cursor }, nowMs, alive) {
      table.update(inStableOrder(sessions), { nowMs, alive });
      pager.update(cursor);
      const more = sessions.length === 0 && cursor !== undefined ? ' · none among those looked at, Next looks on' : '';
      setText(shown, `${plural(sessions.length, 'session')} on this page, ${count(total)} in the cluster${more}`);
    },
    /** The cursor is no longer understood: from the start. */
    restart: again,
  };
}

const field = (label, control) => make('div', { class: 'field' }, make('label', { for: control.id }, label), control);

/** Choices that come and go; the one that is chosen stays, also when it is gone. @param {HTMLSelectElement} select */
function fillOptions(select) {
  const fill = keyedList(select, {
    keyOf: ({ value }) => value,
    make: ({ value }) => make('option', { value }),
    update: (element, { label }) => setText(element, label),
  });
  let last = [];
  return (options) => {
    // Before there was any choice the browser would choose whichever was put in first.
    const chosen = last.length ? select.value : ANY;
    const lost = options.some(({ value }) => value === chosen) ? [] : last.filter(({ value }) => value === chosen);
    last = [...options, ...lost];
    fill(
      last.map((option) =>
        lost.includes(option) ? { ...option, label: `${option.label.replace(/ \(gone\)$/, '')} (gone)` } : option,
      ),
    );
    if (last.some(({ value }) => value === chosen)) select.value = chosen;
  };
}

/** @returns {import('./table.js').Column[]} */
function columns(onEnd) {
  return [
    {
      label: 'Session',
      build: (cell) => {
        cell.classList.add('code');
        return ({ ref }) => setText(cell, ref);
      },
    },
    { label: 'Server', text: ({ server }) => (server === undefined ? '' : serverName(server)) },
    {
      label: 'Owner',
      build: (cell) => {
        const fill = buildWorkerName(cell);
        return ({ owner }, { alive }) => {
          if (!owner) fill('', 'nobody');
          // Its sessions are whoever's who gets their next request.
          else fill(splitWorker(owner).name, alive && !alive.has(owner) ? ' gone' : '');
        };
      },
      title: ({ owner }) => owner ?? 'Whoever gets its next request',
    },
    { label: 'Epoch', isNumber: true, text: ({ epoch }) => count(epoch) },
    {
      label: 'State',
      build: (cell) => {
        const fill = buildBadge(cell);
        return ({ state }) => fill(state, { active: 'good', closing: 'warn' }[state] ?? 'bad');
      },
    },
    { label: 'Age', isNumber: true, text: ({ created }, { nowMs }) => ageOf(created, nowMs) },
    {
      label: 'Client',
      build: (cell) => {
        const name = make('bdi', { class: 'cut client' });
        cell.append(name);
        return ({ client }) => {
          const text = clientName(client);
          setText(name, text);
          setAttribute(name, 'title', text || undefined);
        };
      },
    },
    { label: 'Protocol', text: ({ protocolVersion }) => visible(protocolVersion ?? '') },
    { label: 'Backends', text: ({ backends = [] }) => backends.map(({ name }) => name).join(', ') },
    {
      label: 'End',
      isAction: true,
      build: (cell, current) => {
        const end = button('End', () => onEnd(current()), { class: 'small' });
        cell.append(end);
        return ({ ref, state }) => {
          setAttribute(end, 'aria-label', `End session ${ref}`);
          setAttribute(end, 'disabled', state === 'closing');
        };
      },
    },
  ];
}
