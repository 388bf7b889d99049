// Pages of a list that is known by cursors alone: back is remembered, there is no last page to go to.
import { button, make, setAttribute, setText } from './dom.js';

/** @param {{ label: string, onChange: () => void }} parts */
export function makePager({ label, onChange }) {
  /** Cursors of the pages up to this one; the first has none. @type {Array<string | undefined>} */
  let cursors = [undefined];
  /** @type {string | undefined} */
  let following;
  const go = (/** @type {Array<string | undefined>} */ next) => {
    cursors = next;
    following = undefined;
    show();
    onChange();
  };
  const back = button('Back', () => go(cursors.slice(0, -1)));
  const next = button('Next', () => go([...cursors, following]));
  const page = make('span', { class: 'quiet' });
  const element = make('nav', { class: 'pager', 'aria-label': label }, back, page, next);
  const show = () => {
    setText(page, `Page ${cursors.length}`);
    setAttribute(back, 'disabled', cursors.length === 1);
    setAttribute(next, 'disabled', following === undefined);
    setAttribute(element, 'hidden', cursors.length === 1 && following === undefined);
  };
  show();
  return {
    element,
    get cursor() {
      return cursors.at(-1);
    },
    /** @param {string | undefined} cursor of the next page */
    update(cursor) {
      following = cursor;
      show();
    },
    /** To the first page, without asking. */
    reset() {
      cursors = [undefined];
      following = undefined;
      show();
    },
  };
}
