// Gives a session its backend sessions, each with a host: the guard, the record writer, and the ways back into the session.
import type { Backend, BackendSession, BackendSessionHost } from '../backends/backend.js';
import { type BackendSessionRecord, type Directory, DirectoryUnavailable } from '../directory/directory.js';
import type { Clock } from '../lifecycle/clock.js';
import { pause } from '../lifecycle/clock.js';
import type { Session } from './session.js';

export interface SessionBackendsParts {
  readonly directory: Directory;
  readonly clock: Clock;
  /** By name; a backend that a reload removed is missing. */
  readonly backends: ReadonlyMap<string, Backend>;
  /** A notification outside any call. */
  readonly onNotification: (session: Session, backend: string, json: Buffer | string) => void;
  /** `onStateLoss: fail`: the session has to end. */
  readonly onStateLost: (session: Session, backend: string, reason: string) => void;
  /** A backend session that may not be used: teardown ends it. */
  readonly onDiscard: (session: Session, backend: string, value: BackendSessionRecord) => void;
  readonly onFenced: () => void;
  /** The backend forgot a session and opened another one: it may have been restarted, with other lists. */
  readonly onReinitialized: (backend: string) => void;
}

/** How long the saving of an issued id is tried while Redis is silent; then the id is ended instead of used. */
const SAVE_TRIES_MS = 5000;
const SAVE_PAUSE_MS = 100;

export class SessionBackends {
  readonly #parts: SessionBackendsParts;

  constructor(parts: SessionBackendsParts) {
    this.#parts = parts;
  }

  /** The session's backend session, made (not opened) at its first use; undefined if there is no such backend (any more). */
  get(session: Session, name: string): BackendSession | undefined {
    return session.backends.get(name) ?? this.#create(session, name, undefined);
  }

  /** After a claim: goes on with what the record holds, without a new initialize. */
  restore(session: Session, records: Readonly<Record<string, BackendSessionRecord>>): void {
    for (const [name, record] of Object.entries(records)) this.#create(session, name, record);
  }

  #create(session: Session, name: string, record: BackendSessionRecord | undefined): BackendSession | undefined {
    const backend = this.#parts.backends.get(name);
    if (!backend) return undefined;
    const made = backend.createSession(this.#host(session, name), record);
    session.backends.set(name, made);
    if (session.standalone) made.setListening(true, session.listeningHeaders);
    return made;
  }

  #host(session: Session, backend: string): BackendSessionHost {
    const { onNotification, onStateLost, onDiscard } = this.#parts;
    return {
      sessionRef: session.facts.ref,
      mayAct: () => session.mayAct(),
      save: (previousGeneration, value) => this.#save(session, backend, previousGeneration, value),
      discard: (value) => onDiscard(session, backend, value),
      onNotification: (json) => onNotification(session, backend, json),
      onStateLost: (reason) => onStateLost(session, backend, reason),
    };
  }

  /**
   * The record writer. A lost answer leaves the outcome unknown; the same compare-and-set is repeated, and finds its own value. A
   * conflict is with an earlier save of ours that was given up while its outcome was unknown, since nobody but this owner writes this
   * session's backends and opening is single-flight: it is replaced (what it saved was discarded then).
   */
  async #save(
    session: Session,
    backend: string,
    previousGeneration: number,
    value: BackendSessionRecord,
  ): Promise<'saved' | 'refused'> {
    const { clock, directory, onFenced, onReinitialized } = this.#parts;
    const { ref } = session.facts;
    const untilMs = clock.monotonicMs() + SAVE_TRIES_MS;
    let previous = previousGeneration;
    while (clock.monotonicMs() < untilMs) {
      // Race: the guard ended while Redis was silent. Claimed back, the session is still ours, and so is what the backend issued.
      if (session.state === 'reclaiming') await session.settled(pause(clock, SAVE_PAUSE_MS));
      if (session.state === 'ended' || session.state === 'released') return 'refused';
      if (!session.mayAct()) {
        if (session.state === 'active') await pause(clock, SAVE_PAUSE_MS);
        continue;
      }
      const { token } = session;
      try {
        const outcome = await directory.saveBackendSession(ref, token, backend, previous, value);
        if (outcome.kind === 'saved') {
          if (previousGeneration > 0) onReinitialized(backend);
          return 'saved';
        }
        if (outcome.kind === 'conflict') {
          const read = await directory.readSession(ref);
          if (read.kind !== 'found') return 'refused';
          previous = read.record.backends[backend]?.generation ?? 0;
          continue;
        }
        // Race: claimed back while the answer was on its way.
        if (session.mayAct() && session.token !== token) continue;
        onFenced();
        return 'refused';
      } catch (error) {
        if (!(error instanceof DirectoryUnavailable)) return 'refused';
        await pause(clock, SAVE_PAUSE_MS);
      }
    }
    return 'refused';
  }
}
