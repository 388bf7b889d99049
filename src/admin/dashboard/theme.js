// Not a module, so that it runs before anything is painted: a dark page must not flash white.
(() => {
  const KEY = 'berth-theme';
  const THEMES = ['auto', 'light', 'dark'];
  const root = document.documentElement;

  /** Storage may be forbidden in this browser: then the choice lasts as long as the page. */
  const stored = () => {
    try {
      return localStorage.getItem(KEY) ?? 'auto';
    } catch {
      return 'auto';
    }
  };
  const apply = (/** @type {string} */ theme) => {
    root.dataset.theme = THEMES.includes(theme) ? theme : 'auto';
  };

  apply(stored());
  document.addEventListener('DOMContentLoaded', () => {
    const choice = document.querySelector('#theme');
    if (!(choice instanceof HTMLSelectElement)) return;
    choice.value = root.dataset.theme ?? 'auto';
    choice.addEventListener('change', () => {
      apply(choice.value);
      try {
        localStorage.setItem(KEY, choice.value);
      } catch {
        // See above.
      }
    });
  });
})();
