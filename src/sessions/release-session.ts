// Gives sessions up to whoever gets their next request: what a drain and the spreading of idle sessions have in common.
import type { Directory, SessionRecord } from '../directory/directory.js';
import { GatewayError } from '../errors/gateway-error.js';
import type { RecordSaver } from './record-saver.js';
import type { Session } from './session.js';
import type { SessionTable } from './session-table.js';

export interface SessionReleaserParts {
  readonly directory: Directory;
  readonly table: SessionTable;
  /** `sessions.idleTimeout`, ms */
  readonly idleTimeoutMs: number;
  /** What has changed in it goes into the record first. */
  readonly savers: ReadonlyArray<Pick<RecordSaver, 'flush'>>;
  /** What else remembers a session lets it go. */
  readonly onReleased: (session: Session) => void;
  /** Its record went with the data of Redis, and memory is closed: what it had open has to be ended. */
  readonly onLost: (session: Session, backends: SessionRecord['backends']) => void;
}

export class SessionReleaser {
  readonly #parts: SessionReleaserParts;

  constructor(parts: SessionReleaserParts) {
    this.#parts = parts;
  }

  /**
   * Memory closed, then record: between the two a session is in the table as `released`, and requests wait. Synchronous up to that,
   * so that nothing can begin between the caller's look at a session and its release. Never rejects: a record that could not be
   * changed still names us, and whoever of us is asked claims it back.
   */
  async release(sessions: readonly Session[]): Promise<void> {
    const { directory, table, idleTimeoutMs, savers, onReleased, onLost } = this.#parts;
    const backends = new Map(sessions.map((session) => [session, session.savedBackends()]));
    for (const session of sessions) session.close('released', cutShort());
    const used = sessions.map(({ facts, lastUsedMs }) => ({ ref: facts.ref, untilMs: lastUsedMs + idleTimeoutMs }));
    // The last use may have been since the last tick of liveness, and nobody else knows of it: it would expire too early.
    if (used.length > 0) await directory.touchSessions(used).catch(() => undefined);
    await Promise.all(
      sessions.map(async (session) => {
        for (const saver of savers) await saver.flush(session);
        const outcome = await directory.releaseSession(session.facts.ref, session.token).catch(() => undefined);
        if (outcome?.kind === 'missing') onLost(session, backends.get(session) ?? {});
        table.remove(session);
        onReleased(session);
      }),
    );
  }
}

/** To callers whose call outlasted the drain. */
export function cutShort(): GatewayError {
  return new GatewayError('OUTCOME_UNKNOWN', { message: 'the worker that ran it was stopped', details: { reason: 'drained' } });
}
