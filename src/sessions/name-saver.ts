// Saves what names mean in a session (servers/name-pins.ts) into its record: beside the answer that showed them, never before it, and at
// most one write of a session at a time. A crash before the write loses what was shown last; a release does not.
import { type Directory, DirectoryUnavailable } from '../directory/directory.js';
import { type Clock, pause } from '../lifecycle/clock.js';
import type { Session } from './session.js';

export interface NameSaverParts {
  readonly directory: Pick<Directory, 'saveNames'>;
  readonly clock: Clock;
}

const RETRY_MS = 1000;
/** Redis silent for longer: what is shown next is saved with it. */
const TRIES = 30;

export class NameSaver {
  readonly #parts: NameSaverParts;
  readonly #saving = new Set<Session>();

  constructor(parts: NameSaverParts) {
    this.#parts = parts;
  }

  /** The session may have been shown other names. Costs a comparison of numbers where it was not. */
  note(session: Session): void {
    if (session.pins.version === session.savedPins || this.#saving.has(session) || !isAmbiguous(session)) return;
    this.#saving.add(session);
    void this.#save(session).finally(() => this.#saving.delete(session));
  }

  /** Before it is released: nothing can change any more, and no later moment will come. Never rejects. */
  async flush(session: Session): Promise<void> {
    if (session.pins.version === session.savedPins || !isAmbiguous(session)) return;
    await this.#parts.directory.saveNames(session.facts.ref, session.token, session.pins.toSaved()).catch(() => undefined);
  }

  async #save(session: Session): Promise<void> {
    const { directory, clock } = this.#parts;
    for (let tries = 0; tries < TRIES && session.pins.version !== session.savedPins; tries++) {
      if (session.state === 'ended' || session.state === 'released') return;
      const { version } = session.pins;
      try {
        // Fenced, or gone: whoever has it now knows what was saved before.
        if (
          session.mayAct() &&
          (await directory.saveNames(session.facts.ref, session.token, session.pins.toSaved())).kind === 'saved'
        )
          session.savedPins = version;
        else await pause(clock, RETRY_MS);
      } catch (error) {
        if (!(error instanceof DirectoryUnavailable)) return;
        await pause(clock, RETRY_MS);
      }
    }
  }
}

/** With one backend a name can mean one thing only. */
function isAmbiguous({ facts }: Session): boolean {
  return facts.server.backends.length > 1;
}
