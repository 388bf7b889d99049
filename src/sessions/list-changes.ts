// Tells clients that a list has changed: every session here whose virtual server uses the backend, whoever heard of it.
import { type CatalogKind, LIST_CHANGED_METHODS } from '../backends/catalog.js';
import type { Clock } from '../lifecycle/clock.js';
import type { SessionTable } from './session-table.js';

/** Backends tell changes in bursts, and several sessions of ours hear the same one. */
const DEBOUNCE_MS = 100;

const ALL_CHANGED = [...new Set(Object.values(LIST_CHANGED_METHODS))].map((method) => JSON.stringify({ jsonrpc: '2.0', method }));

export class ListChanges {
  readonly #table: SessionTable;
  readonly #clock: Clock;
  readonly #pending = new Set<string>();
  /** Servers of which everything has changed. */
  readonly #changed = new Set<string>();

  constructor(table: SessionTable, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
  }

  /** What a virtual server shows may be anything else from now on (a reload): its sessions hear of every kind. */
  tellAll(serverId: string): void {
    const isArmed = this.#changed.size > 0;
    this.#changed.add(serverId);
    if (isArmed) return;
    this.#clock.after(DEBOUNCE_MS, () => {
      const changed = new Set(this.#changed);
      this.#changed.clear();
      const nowMs = this.#clock.monotonicMs();
      for (const { streams, facts } of this.#table) {
        if (changed.has(facts.server.id)) for (const json of ALL_CHANGED) streams.tell(json, nowMs);
      }
    });
  }

  /** @param sessionRef only this session's list changed (its backend lists by who asks) */
  tell(backend: string, kind: CatalogKind, sessionRef?: string): void {
    const method = LIST_CHANGED_METHODS[kind];
    const key = `${backend} ${method} ${sessionRef ?? ''}`;
    if (this.#pending.has(key)) return;
    this.#pending.add(key);
    this.#clock.after(DEBOUNCE_MS, () => {
      this.#pending.delete(key);
      const json = JSON.stringify({ jsonrpc: '2.0', method });
      const nowMs = this.#clock.monotonicMs();
      for (const { streams, facts } of this.#table) {
        if (!facts.server.backends.includes(backend)) continue;
        if (sessionRef === undefined || sessionRef === facts.ref) streams.tell(json, nowMs);
      }
    });
  }
}
