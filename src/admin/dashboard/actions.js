// What the page can change. Each asks first, where it cannot be undone, and says what became of it.
import { confirmed } from './dialogs.js';
import { byId, setAttribute, setText } from './dom.js';
import { clientName, count, serverName } from './format.js';

/** @param {{ api: (path: string, query?: any, method?: string) => Promise<any>, onDone: () => void }} parts */
export function actions({ api, onDone }) {
  /** @param {() => Promise<string>} run @param {string} about */
  async function attempt(run, about) {
    tell(`${about} …`, 'wait');
    try {
      tell(await run(), 'good');
    } catch (error) {
      const { message, code, kind } = /** @type {any} */ (error);
      // It may have arrived: nobody knows.
      tell(
        kind === 'silent'
          ? `${about}: no answer. Look whether it was done before you try again.`
          : `${about}: ${message} (${code})`,
        'bad',
      );
    }
    onDone();
  }

  return {
    async endSession({ ref, client, server }) {
      const name = clientName(client) || 'a client without a name';
      const isMeant = await confirmed({
        title: 'End this session?',
        text: `${ref} of ${name} at ${serverName(server ?? '')}. Its open streams and calls end now, its next request gets 404, and its backend sessions are ended. This cannot be undone.`,
        action: 'End session',
      });
      if (!isMeant) return;
      await attempt(async () => {
        await api(`api/sessions/${encodeURIComponent(ref)}`, {}, 'DELETE');
        return `Session ${ref} has ended`;
      }, `End of session ${ref}`);
    },
    retry: ({ id, backend }) =>
      attempt(async () => {
        await api(`api/teardowns/${encodeURIComponent(id)}/retry`, {}, 'POST');
        return `The teardown at ${backend} is tried again`;
      }, `Retry at ${backend}`),
    retryAll: () =>
      attempt(async () => {
        const { retried, left } = await api('api/teardowns/retry', {}, 'POST');
        return `${count(retried)} tried again${left ? `, ${count(left)} left: ask again` : ''}`;
      }, 'Retry of all'),
    async drop({ id, backend, session }) {
      const isMeant = await confirmed({
        title: 'Drop this teardown?',
        text: `Nobody ends the backend session at ${backend} (of session ${session}) then: it stays open there until ${backend} ends it.`,
        action: 'Drop',
      });
      if (!isMeant) return;
      await attempt(async () => {
        await api(`api/teardowns/${encodeURIComponent(id)}`, {}, 'DELETE');
        return `The teardown at ${backend} was dropped`;
      }, `Drop at ${backend}`);
    },
  };
}

const SHOWN_MS = 10_000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let fading;

/** @param {string} text @param {'wait' | 'good' | 'bad'} kind */
function tell(text, kind) {
  clearTimeout(fading);
  setText(byId('result'), text);
  setAttribute(byId('result'), 'data-kind', kind);
  if (kind === 'good') fading = setTimeout(() => setText(byId('result'), ''), SHOWN_MS);
}
