// Where the token is kept: in this tab, for this origin (name and port), until the tab is closed. A cookie would be sent to every port of
// the host, and with requests that other pages make. Knows no DOM.
const KEY = 'berth-admin-token';

/** @param {() => Storage} storage asked each time: a browser may forbid it, even to be looked at */
export function makeTokenStore(storage) {
  let token = attempt(() => storage().getItem(KEY)) ?? '';
  return {
    get: () => token,
    /** @param {string} next '': forgotten */
    set(next) {
      token = next;
      attempt(() => (next ? storage().setItem(KEY, next) : storage().removeItem(KEY)));
    },
  };
}

/** @template T @param {() => T} run */
function attempt(run) {
  try {
    return run();
  } catch {
    // Then it lasts as long as the page.
    return undefined;
  }
}
