// Saves what names mean in a session (servers/name-pins.ts) into its record: beside the answer that showed them, never before it.
import type { Directory } from '../directory/directory.js';
import type { Clock } from '../lifecycle/clock.js';
import { RecordSaver } from './record-saver.js';
import type { Session } from './session.js';

export interface NameSaverParts {
  readonly directory: Pick<Directory, 'saveNames'>;
  readonly clock: Clock;
}

export class NameSaver extends RecordSaver {
  constructor({ directory, clock }: NameSaverParts) {
    super(
      {
        // Costs a comparison of numbers where nothing else was shown.
        unsaved: (session) => {
          const { version } = session.pins;
          return version === session.savedPins || !isAmbiguous(session) ? undefined : version;
        },
        write: (session) => directory.saveNames(session.facts.ref, session.token, session.pins.toSaved()),
        saved: (session, version) => {
          session.savedPins = version as number;
        },
      },
      clock,
    );
  }
}

/** With one backend a name can mean one thing only. */
function isAmbiguous({ facts }: Session): boolean {
  return facts.server.backends.length > 1;
}
