// How one list of one backend goes from one state to the next: loaded, hidden because the backend cannot be read, shown again.
import type { CatalogPart, LoadedList } from './catalog.js';

/** In the version of a part: hidden. */
const HIDDEN = '!';

export const UNREAD: CatalogPart = { entries: [], available: false, loadedMs: undefined, ttlMs: 0, version: HIDDEN };

export function loadedPart({ entries, isCut }: LoadedList, digest: string, nowMs: number, ttlMs: number): CatalogPart {
  return { entries, available: true, loadedMs: nowMs, ttlMs, version: digest, ...(isCut ? { isCut } : {}) };
}

/** Keeps what was known: names are decided with it. @param reason a word, no secret */
export function hiddenPart(before: CatalogPart | undefined, reason: string, ttlMs: number): CatalogPart {
  const { error: _former, version, ...known } = before ?? UNREAD;
  return { ...known, available: false, error: reason, ttlMs, version: isHidden(version) ? version : version + HIDDEN };
}

/** What was read before it was hidden is there again; undefined if nothing was. */
export function shownPart({ error: _former, ...known }: CatalogPart): CatalogPart | undefined {
  if (known.loadedMs === undefined) return undefined;
  return { ...known, available: true, version: plainVersion(known.version) };
}

/** Of the content alone. */
export function plainVersion(version: string): string {
  return version.replace(HIDDEN, '');
}

function isHidden(version: string): boolean {
  return version.endsWith(HIDDEN);
}
