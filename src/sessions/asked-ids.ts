// The ids under which the client of one session was asked, by its owner and by those before it, as long as the questions may be open: a
// backend takes one back under its own id, from which ours cannot be made again.
import { MAX_ASKED_LENGTH } from '../directory/directory.js';
import type { QuestionId } from './question-id.js';

export class AskedIds {
  /** What each stands for, oldest first; undefined: nobody has looked yet. */
  readonly #opened = new Map<string, QuestionId | undefined>();
  #length = 0;

  /** Oldest first. */
  get all(): string[] {
    return [...this.#opened.keys()];
  }

  /** Of many the oldest go: the record has room for no more. */
  add(ours: string): void {
    if (this.#opened.has(ours) || lengthOf(ours) > MAX_ASKED_LENGTH) return;
    this.#opened.set(ours, undefined);
    this.#length += lengthOf(ours);
    for (const oldest of this.#opened.keys()) {
      if (this.#length <= MAX_ASKED_LENGTH) break;
      this.delete(oldest);
    }
  }

  /** It is answered, or taken back. */
  delete(ours: string): void {
    if (this.#opened.delete(ours)) this.#length -= lengthOf(ours);
  }

  /**
   * @param open each id is opened once: a backend may take back again and again what it has never asked
   * @returns the newest that was asked so; a backend may use an id anew
   */
  find(
    { backend, id, generation }: Omit<QuestionId, 'progressToken'>,
    open: (ours: string) => QuestionId | undefined,
  ): string | undefined {
    let found: string | undefined;
    for (const [ours, known] of this.#opened) {
      const asked = known ?? open(ours);
      // Sealed under a secret that is gone: nobody can take it back or answer it any more.
      if (!asked) this.delete(ours);
      else this.#opened.set(ours, asked);
      if (asked?.id === id && asked.backend === backend && asked.generation === generation) found = ours;
    }
    return found;
  }
}

/** With the comma behind it. */
const lengthOf = (ours: string) => ours.length + 1;
