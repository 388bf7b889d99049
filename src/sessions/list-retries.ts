// Reads lists again that could not be read. The health of a backend (backends/health) knows connections and openings alone: one that opens
// but fails at its list, or a command that is still being installed when the first list ends, comes back without anybody hearing of it, and
// a client that was shown a list without it has no reason to list again. The cache tells clients when the list is another one.
import type { Clock } from '../lifecycle/clock.js';
import type { ListPlace, ListReader } from './list-reader.js';
import type { Session } from './session.js';

export interface ListRetriesParts {
  readonly clock: Clock;
  /** Of this worker. */
  readonly sessions: Iterable<Session>;
  readonly reader: () => Pick<ListReader, 'readAgain' | 'scopeOf'>;
  readonly isAvailable: (list: ListPlace) => boolean;
}

/** Longer than a failed load counts (CatalogCacheOptions.errorTtlMs). */
const FIRST_MS = 6000;
const MAX_MS = 60_000;

export class ListRetries {
  readonly #parts: ListRetriesParts;
  readonly #pending = new Set<string>();

  constructor(parts: ListRetriesParts) {
    this.#parts = parts;
  }

  /** It could not be read. */
  note(list: ListPlace): void {
    // Blanks stand in no part of it but the last.
    const key = `${list.kind} ${list.backend} ${list.scope}`;
    if (this.#pending.has(key)) return;
    this.#pending.add(key);
    this.#arm(key, list, FIRST_MS);
  }

  /** At doubling intervals, until it was read or nobody is there who would be told. */
  #arm(key: string, list: ListPlace, delayMs: number): void {
    this.#parts.clock.after(delayMs, () => {
      const session = this.#parts.isAvailable(list) ? undefined : this.#findListener(list);
      if (!session) {
        this.#pending.delete(key);
        return;
      }
      const again = () => this.#arm(key, list, Math.min(2 * delayMs, MAX_MS));
      this.#parts
        .reader()
        .readAgain(session, list.backend, list.kind, session.listeningHeaders ?? {})
        .then(again, again);
    });
  }

  #findListener({ backend, scope }: ListPlace): Session | undefined {
    for (const session of this.#parts.sessions) {
      if (!session.standalone || !session.mayAct() || !session.facts.server.backends.includes(backend)) continue;
      if (this.#parts.reader().scopeOf(session, backend) === scope) return session;
    }
    return undefined;
  }
}
