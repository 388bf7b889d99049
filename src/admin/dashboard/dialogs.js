// What the page asks of whoever looks at it: the token, and whether they mean it.
import { byId, setText } from './dom.js';

/**
 * @param {{ title: string, text: string, action: string }} question
 * @returns {Promise<boolean>}
 */
export function confirmed({ title, text, action }) {
  const dialog = byId('confirm');
  const yes = dialog.querySelector('button[value=yes]');
  const no = dialog.querySelector('button[value=no]');
  setText(byId('confirm-title'), title);
  setText(byId('confirm-text'), text);
  setText(yes, action);
  return new Promise((resolve) => {
    const ending = new AbortController();
    const end = (/** @type {boolean} */ answer) => {
      ending.abort();
      dialog.close();
      resolve(answer);
    };
    const options = { signal: ending.signal };
    yes.addEventListener('click', () => end(true), options);
    no.addEventListener('click', () => end(false), options);
    dialog.addEventListener('close', () => end(false), options);
    dialog.showModal();
    // Enter does nothing that cannot be undone.
    no.focus();
  });
}

/**
 * Asks for the token until it is given. Once at a time.
 * @param {string} problem with the one that was sent; '': none was
 * @param {(token: string) => string} take @returns what is wrong with it, '' if nothing
 */
export function askForToken(problem, take) {
  const dialog = byId('sign-in');
  const input = byId('token');
  setText(byId('token-problem'), problem);
  if (dialog.open) return;
  input.value = '';
  // Not to be escaped: without it there is nothing to see.
  dialog.oncancel = (event) => event.preventDefault();
  dialog.querySelector('form').onsubmit = (event) => {
    event.preventDefault();
    const wrong = take(input.value.trim());
    setText(byId('token-problem'), wrong);
    if (!wrong) dialog.close();
  };
  dialog.showModal();
  input.focus();
}
