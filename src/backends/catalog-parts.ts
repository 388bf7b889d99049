// How one list of one backend goes from one state to the next: loaded, hidden because the backend cannot be read, shown again.
import type { CatalogPart, RawEntry } from './catalog.js';

/** In the version of a part: hidden. */
const HIDDEN = '!';

export const UNREAD: CatalogPart = { entries: [], available: false, loadedMs: undefined, ttlMs: 0, version: HIDDEN };

export function loadedPart(entries: readonly RawEntry[], digest: string, nowMs: number, ttlMs: number): CatalogPart {
  return { entries, available: true, loadedMs: nowMs, ttlMs, version: digest };
}

/** Keeps what was known: names are decided with it. @param reason a word, no secret */
export function hiddenPart(before: CatalogPart | undefined, reason: string, ttlMs: number): CatalogPart {
  const { entries, loadedMs, version } = before ?? UNREAD;
  return { entries, available: false, error: reason, loadedMs, ttlMs, version: isHidden(version) ? version : version + HIDDEN };
}

/** What was read before it was hidden is there again; undefined if nothing was. */
export function shownPart({ entries, loadedMs, ttlMs, version }: CatalogPart): CatalogPart | undefined {
  if (loadedMs === undefined) return undefined;
  return { entries, available: true, loadedMs, ttlMs, version: plainVersion(version) };
}

/** Of the content alone. */
export function plainVersion(version: string): string {
  return version.replace(HIDDEN, '');
}

function isHidden(version: string): boolean {
  return version.endsWith(HIDDEN);
}
