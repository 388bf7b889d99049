// Runs one load of a list and says what it means for the cache: a list, a backend that cannot be read, or nothing at all.
import type { LRUCache } from 'lru-cache';
import { CATALOG } from '../errors/catalog.js';
import { GatewayError } from '../errors/gateway-error.js';
import { digestOf } from '../protocol/ids.js';
import type { LoadedList, RawEntry } from './catalog.js';
import type { CatalogLoad } from './catalog-slots.js';

export type LoadOutcome =
  | {
      readonly kind: 'loaded';
      readonly list: LoadedList;
      readonly digest: string;
      /** Of JSON text that nobody brought before. */
      readonly bytes: number;
      readonly ttlMs: number;
    }
  | { readonly kind: 'failed'; readonly reason: string; readonly isLate: boolean }
  /** It says nothing about the backend: whoever loaded lost the session. */
  | { readonly kind: 'abandoned' };

/** @param contents by digest: equal lists (the same backend read by many sessions) are kept once */
export async function runLoad(
  load: CatalogLoad,
  contents: LRUCache<string, readonly RawEntry[]>,
  defaultTtlMs: number,
): Promise<LoadOutcome> {
  try {
    const list = await load();
    const { entries, ttlMs = defaultTtlMs } = list;
    const text = JSON.stringify(entries);
    const digest = digestOf(text);
    const shared = contents.get(digest);
    if (shared) return { kind: 'loaded', list: { ...list, entries: shared }, digest, bytes: 0, ttlMs };
    contents.set(digest, entries, { size: text.length + 1 });
    return { kind: 'loaded', list, digest, bytes: text.length, ttlMs };
  } catch (error) {
    if (isFaultOfCaller(error)) return { kind: 'abandoned' };
    const isLate = error instanceof GatewayError && error.code === 'BACKEND_TIMEOUT';
    return { kind: 'failed', reason: reasonOf(error), isLate };
  }
}

export function isFaultOfCaller(error: unknown): boolean {
  return error instanceof GatewayError && error.code !== 'INTERNAL' && CATALOG[error.code].source !== 'backend';
}

function reasonOf(error: unknown): string {
  if (!(error instanceof GatewayError)) return 'unexpected';
  const { reason: said, cause } = error.details ?? {};
  // Behind an open breaker: what opened it says more.
  const reason = said === 'broken' ? cause : said;
  return typeof reason === 'string' ? reason : error.code.toLowerCase();
}
