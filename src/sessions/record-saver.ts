// Saves what changes in a session while it lives into its record: beside what it serves, and at most one write of a kind and session at
// a time. A crash before the write loses what changed last; a release does not.
import { DirectoryUnavailable } from '../directory/directory.js';
import { type Clock, pause } from '../lifecycle/clock.js';
import type { Session } from './session.js';

/** One kind of what records keep. */
export interface Kept {
  /** Tells one state from another; undefined: the record has what memory has. */
  unsaved(session: Session): string | number | undefined;
  /** Fenced. @throws DirectoryUnavailable */
  write(session: Session): Promise<{ readonly kind: string }>;
  /** The record has that state. */
  saved(session: Session, state: string | number): void;
}

const RETRY_MS = 1000;
/** Redis silent for longer: what changes next is saved with it. */
const TRIES = 30;

export class RecordSaver {
  readonly #kept: Kept;
  readonly #clock: Clock;
  readonly #saving = new Map<Session, Promise<void>>();

  constructor(kept: Kept, clock: Clock) {
    this.#kept = kept;
    this.#clock = clock;
  }

  /** Something may have changed. @returns the saving that is under way, if there is one: it never rejects, and may last while Redis is away */
  note(session: Session): Promise<void> | undefined {
    const running = this.#saving.get(session);
    if (running || this.#kept.unsaved(session) === undefined) return running;
    const saving = this.#save(session).finally(() => this.#saving.delete(session));
    this.#saving.set(session, saving);
    return saving;
  }

  /** Before it is released: nothing can change any more, and no later moment will come. Never rejects. */
  async flush(session: Session): Promise<void> {
    if (this.#kept.unsaved(session) === undefined) return;
    await this.#kept.write(session).catch(() => undefined);
  }

  async #save(session: Session): Promise<void> {
    const kept = this.#kept;
    for (let tries = 0; tries < TRIES; tries++) {
      const state = kept.unsaved(session);
      if (state === undefined || session.state === 'ended' || session.state === 'released') return;
      try {
        // Fenced, or gone: whoever has it now knows what was saved before.
        if (session.mayAct() && (await kept.write(session)).kind === 'saved') kept.saved(session, state);
        else await pause(this.#clock, RETRY_MS);
      } catch (error) {
        if (!(error instanceof DirectoryUnavailable)) return;
        await pause(this.#clock, RETRY_MS);
      }
    }
  }
}
