// Where the catalog cache keeps the lists of one backend in one scope.
import type { Catalog, CatalogKind, CatalogPart, LoadedList } from './catalog.js';

export type CatalogLoad = () => Promise<LoadedList>;

const SLOT_BYTES = 512;

export interface Flight {
  readonly done: Promise<CatalogPart>;
  readonly spareLoads: CatalogLoad[];
}

export interface KindState {
  part: CatalogPart | undefined;
  /** Bytes of JSON that this list was the first to bring. */
  bytes: number;
  expiresMs: number;
  /** Grows with every invalidation: a load that began under another number is stale. */
  round: number;
  flight: Flight | undefined;
}

export interface Slot {
  readonly key: string;
  readonly scope: string;
  readonly states: Map<CatalogKind, KindState>;
  catalog: Catalog;
}

/** '', or lists that depend on what the client can be asked: `:` and words. Any other is a session's own. */
export function isSharedScope(scope: string): boolean {
  return scope === '' || scope.startsWith(':');
}

export function keyOf(backend: string, scope: string): string {
  // A blank stands in no name of a backend.
  return `${backend} ${scope}`;
}

export function openState(slot: Slot, kind: CatalogKind): KindState {
  let state = slot.states.get(kind);
  if (!state) {
    state = { part: undefined, bytes: 0, expiresMs: Number.NEGATIVE_INFINITY, round: 0, flight: undefined };
    slot.states.set(kind, state);
  }
  return state;
}

/** Also for a load that is under way. */
export function expire(state: KindState): void {
  state.round++;
  state.expiresMs = Number.NEGATIVE_INFINITY;
}

export function bytesOf(slot: Slot): number {
  let bytes = SLOT_BYTES;
  for (const state of slot.states.values()) bytes += state.bytes;
  return bytes;
}
