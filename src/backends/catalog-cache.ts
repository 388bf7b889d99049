// The catalogs that one worker knows, by backend and scope. It never shares a list between scopes (equal content may share memory,
// which tells nobody anything), and one dead backend neither empties nor slows the lists of the others.
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lifecycle/clock.js';
import type { Catalog, CatalogKind, CatalogPart, RawEntry } from './catalog.js';
import { type LoadOutcome, runLoad } from './catalog-load.js';
import { hiddenPart, loadedPart, plainVersion, shownPart, UNREAD } from './catalog-parts.js';
import {
  bytesOf,
  type CatalogLoad,
  expire,
  type Flight,
  isSharedScope,
  keyOf,
  type KindState,
  openState,
  type Slot,
} from './catalog-slots.js';

export type { CatalogLoad } from './catalog-slots.js';

export interface CatalogCacheOptions {
  /** Longest time a list counts as fresh, and the default where the backend names none. Default 5 min. */
  readonly maxTtlMs?: number;
  /** How long a failed load is not repeated, so that a dead backend does not slow each list. Default 5 s. */
  readonly errorTtlMs?: number;
  /** How long a list waits for a backend whose last load failed; the load goes on behind it. Default 500 ms. */
  readonly retryGraceMs?: number;
  /** Most (backend, scope) pairs; the least recently used go first. Default 10 000. */
  readonly maxCatalogs?: number;
  /** Most JSON text behind the kept lists, bytes. Default 128 MiB. */
  readonly maxBytes?: number;
  /** A list that was read before is now another one: entries or availability differ. Whoever uses it wants to hear of it. Must not throw. */
  readonly onChange?: (change: CatalogChange) => void;
}

export interface CatalogChange {
  readonly backend: string;
  readonly scope: string;
  readonly kind: CatalogKind;
  readonly part: CatalogPart;
}

const MINUTE_MS = 60_000;
const MEBIBYTE = 1024 * 1024;
// Invalidations can come faster than loads end; after so many rounds the last result is used, but not kept as fresh.
const MAX_ROUNDS = 3;
// Spare loads of others who wait for the same list; more are of no use.
const MAX_SPARE_LOADS = 8;

export class CatalogCache {
  readonly #clock: Clock;
  readonly #options: Required<Omit<CatalogCacheOptions, 'onChange'>>;
  readonly #onChange: (change: CatalogChange) => void;
  readonly #slots: LRUCache<string, Slot>;
  // Equal lists (the same backend read by many sessions) are kept once.
  readonly #contents: LRUCache<string, readonly RawEntry[]>;
  #generation = 0;

  constructor(clock: Clock, { onChange = () => {}, ...options }: CatalogCacheOptions = {}) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.#options = {
      maxTtlMs: 5 * MINUTE_MS,
      errorTtlMs: 5_000,
      retryGraceMs: 500,
      maxCatalogs: 10_000,
      maxBytes: 128 * MEBIBYTE,
      ...options,
    };
    const { maxCatalogs, maxBytes } = this.#options;
    this.#slots = new LRUCache({ max: maxCatalogs, maxSize: maxBytes, sizeCalculation: bytesOf });
    this.#contents = new LRUCache({ max: maxCatalogs, maxSize: Math.ceil(maxBytes / 2) });
  }

  /**
   * A list, fresh or read now (once for all who ask at the same time). Never rejects: a backend that cannot be read gives a part
   * that is not available and holds the last known entries.
   * @param scope a shared one (isSharedScope) where the backend's credentials are static and shared; else what tells one session from another
   * @param load reads the list on behalf of the caller; a GatewayError that is not the backend's fault (session ended, not owner)
   *   says nothing about the backend: the load of another waiting caller is used instead
   */
  get(backend: string, scope: string, kind: CatalogKind, load: CatalogLoad): Promise<CatalogPart> {
    const slot = this.#openSlot(backend, scope);
    const state = openState(slot, kind);
    const { part } = state;
    if (part && this.#isFresh(state)) return Promise.resolve(part);
    if (!state.flight) this.#startFlight(slot, kind, state, load);
    else if (state.flight.spareLoads.length < MAX_SPARE_LOADS) state.flight.spareLoads.push(load);
    const { done } = state.flight as Flight;
    return part && !part.available ? this.#withGrace(done, part) : done;
  }

  /** As `get`, without waiting: undefined if the list would have to be read. */
  peek(backend: string, scope: string, kind: CatalogKind): CatalogPart | undefined {
    const state = this.#slots.get(keyOf(backend, scope))?.states.get(kind);
    return state?.part && this.#isFresh(state) ? state.part : undefined;
  }

  /**
   * All that is known, fresh or not, without waiting. Good enough to find what a call means: a tool that has gone since gets the
   * backend's own answer, and one that is not found is worth a `get`.
   */
  known(backend: string, scope: string): Catalog {
    return this.#slots.get(keyOf(backend, scope))?.catalog ?? { backend, generation: 0, parts: {} };
  }

  /** As `known`, of the shared scope in which something changed last. */
  latest(backend: string): Catalog {
    let latest = this.known(backend, '');
    for (const { catalog, scope } of this.#slots.values()) {
      if (catalog.backend === backend && isSharedScope(scope) && catalog.generation > latest.generation) latest = catalog;
    }
    return latest;
  }

  /** Its lists of that kind as they were read last, one for each scope that sessions share; what was never read is missing. */
  sharedParts(backend: string, kind: CatalogKind): CatalogPart[] {
    const parts: CatalogPart[] = [];
    for (const [slot, ofKind, { part }] of this.#statesOf(backend)) {
      if (ofKind === kind && part?.loadedMs !== undefined && isSharedScope(slot.scope)) parts.push(part);
    }
    return parts;
  }

  /** The backend's list changed, or the backend came back: read it again when next asked, in all scopes. Default: all kinds. */
  invalidate(backend: string, kind?: CatalogKind): void {
    for (const [, ofKind, state] of this.#statesOf(backend)) {
      if (kind === undefined || kind === ofKind) expire(state);
    }
  }

  /**
   * The backend is down: its lists are hidden in all scopes without being asked for, and what is read now is void.
   * @returns the kinds that were ever read, each with whether it was shown until now. `onChange` is not told: the caller tells all
   *   who are concerned at once
   */
  hide(backend: string, reason: string): Map<CatalogKind, boolean> {
    const kinds = new Map<CatalogKind, boolean>();
    for (const [slot, kind, state] of this.#statesOf(backend)) {
      expire(state);
      if (!state.part) continue;
      if (state.part.loadedMs !== undefined) kinds.set(kind, state.part.available || (kinds.get(kind) ?? false));
      this.#put(slot, kind, state, hiddenPart(state.part, reason, 0));
    }
    return kinds;
  }

  /**
   * The backend is back: its lists will be read when next asked for, and count meanwhile as what they were.
   * @returns the kinds that were hidden until now; `onChange` is not told of them, but of what has become another list since
   */
  show(backend: string): Set<CatalogKind> {
    const kinds = new Set<CatalogKind>();
    for (const [slot, kind, state] of this.#statesOf(backend)) {
      expire(state);
      if (!state.part || state.part.available) continue;
      kinds.add(kind);
      this.#put(slot, kind, state, shownPart(state.part));
    }
    return kinds;
  }

  /** Why the lists that all sessions share could not be read the last time; undefined if they could, or never were. */
  failureOf(backend: string): string | undefined {
    const { parts } = this.latest(backend);
    for (const part of Object.values(parts)) if (!part.available) return part.error;
    return undefined;
  }

  /** A session with a scope of its own has ended. */
  forget(backend: string, scope: string): void {
    this.#slots.delete(keyOf(backend, scope));
  }

  /** The backend is another one now, or there is none any more: nothing that was read of it means anything. */
  forgetBackend(backend: string): void {
    for (const [key, slot] of this.#slots.entries()) if (slot.catalog.backend === backend) this.#slots.delete(key);
  }

  #openSlot(backend: string, scope: string): Slot {
    const key = keyOf(backend, scope);
    const known = this.#slots.get(key);
    if (known) return known;
    const slot: Slot = { key, scope, states: new Map(), catalog: { backend, generation: 0, parts: {} } };
    this.#slots.set(key, slot);
    return slot;
  }

  #isFresh(state: KindState): boolean {
    return this.#clock.monotonicMs() < state.expiresMs;
  }

  #startFlight(slot: Slot, kind: CatalogKind, state: KindState, load: CatalogLoad): void {
    const spareLoads: CatalogLoad[] = [];
    const done = this.#fly(slot, kind, state, load, spareLoads).finally(() => {
      state.flight = undefined;
    });
    state.flight = { done, spareLoads };
  }

  async #fly(
    slot: Slot,
    kind: CatalogKind,
    state: KindState,
    first: CatalogLoad,
    spareLoads: CatalogLoad[],
  ): Promise<CatalogPart> {
    let load = first;
    let earlier: Extract<LoadOutcome, { kind: 'loaded' }> | undefined;
    for (let rounds = 1; ; rounds++) {
      const { round } = state;
      const outcome = await runLoad(load, this.#contents, this.#options.maxTtlMs);
      if (outcome.kind === 'abandoned') {
        const next = spareLoads.shift();
        if (!next) return earlier ? this.#store(slot, kind, state, earlier, false) : (state.part ?? UNREAD);
        load = next;
        continue;
      }
      // Read once, while it changed, and not a second time within the time limit: better old than hidden.
      if (earlier && outcome.kind === 'failed' && outcome.isLate) return this.#store(slot, kind, state, earlier, false);
      // Race: the load read page 1, the backend changed and said so, the load ends with the old list; so we read again.
      if (round !== state.round && rounds < MAX_ROUNDS) {
        if (outcome.kind === 'loaded') earlier = outcome;
        continue;
      }
      return this.#store(slot, kind, state, outcome, round === state.round);
    }
  }

  #store(
    slot: Slot,
    kind: CatalogKind,
    state: KindState,
    outcome: Exclude<LoadOutcome, { kind: 'abandoned' }>,
    current: boolean,
  ): CatalogPart {
    const nowMs = this.#clock.monotonicMs();
    const before = state.part;
    let part: CatalogPart;
    if (outcome.kind === 'loaded') {
      const ttlMs = Math.max(0, Math.min(outcome.ttlMs, this.#options.maxTtlMs));
      part = loadedPart(outcome.list, outcome.digest, nowMs, ttlMs);
      if (part.version !== plainVersion(before?.version ?? '')) state.bytes = outcome.bytes;
    } else {
      part = hiddenPart(before, outcome.reason, this.#options.errorTtlMs);
    }
    state.expiresMs = current ? nowMs + part.ttlMs : Number.NEGATIVE_INFINITY;
    const differs = part.version !== before?.version;
    this.#put(slot, kind, state, part);
    // Its size has to be counted anew, which set() alone does not do for the same object; not if it was evicted or forgotten while
    // the load ran.
    if (this.#slots.peek(slot.key) === slot) {
      this.#slots.delete(slot.key);
      this.#slots.set(slot.key, slot);
    }
    if (before && differs) this.#onChange({ backend: slot.catalog.backend, scope: slot.scope, kind, part });
    return part;
  }

  #put(slot: Slot, kind: CatalogKind, state: KindState, part: CatalogPart | undefined): void {
    const before = state.part;
    state.part = part;
    const { [kind]: _replaced, ...others } = slot.catalog.parts;
    const isAnother = part?.version !== before?.version || part?.error !== before?.error;
    slot.catalog = {
      backend: slot.catalog.backend,
      generation: isAnother ? ++this.#generation : slot.catalog.generation,
      parts: part ? { ...others, [kind]: part } : others,
    };
  }

  *#statesOf(backend: string): Generator<[Slot, CatalogKind, KindState]> {
    for (const slot of this.#slots.values()) {
      if (slot.catalog.backend !== backend) continue;
      for (const [kind, state] of slot.states) yield [slot, kind, state];
    }
  }

  #withGrace(done: Promise<CatalogPart>, lastKnown: CatalogPart): Promise<CatalogPart> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(this.#options.retryGraceMs, () => resolve(lastKnown));
      void done.then((part) => {
        timer.cancel();
        resolve(part);
      });
    });
  }
}
