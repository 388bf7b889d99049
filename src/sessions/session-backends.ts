// Gives a session its backend sessions, each with a host: the guard, the record writer, and the ways back into the session.
import type { Backend, BackendSession, BackendSessionHost } from '../backends/backend.js';
import { type BackendSessionRecord, type Directory, DirectoryUnavailable } from '../directory/directory.js';
import type { Clock } from '../lifecycle/clock.js';
import { pause } from '../lifecycle/clock.js';
import { askableCapabilities } from './askable.js';
import type { BackendLeave, Link } from './backend-leave.js';
import type { ClientRequests } from './client-requests.js';
import type { Session } from './session.js';
import type { StandingRequests } from './standing-requests.js';

export interface SessionBackendsParts {
  readonly directory: Directory;
  readonly clock: Clock;
  /** By name; a backend that a reload removed is missing. */
  readonly backends: { get(name: string): Backend | undefined };
  /** Whether this is a backend session of the backend as it is configured now: opened at the same place. */
  readonly belongs: (session: Session, backend: string, record: BackendSessionRecord) => boolean;
  readonly leave: BackendLeave;
  readonly clientRequests: Pick<ClientRequests, 'ask' | 'withdraw' | 'forget'>;
  readonly standing: Pick<StandingRequests, 'opened' | 'lost'>;
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
  readonly #links = new WeakMap<BackendSession, Link>();
  /** Their settings have changed, and they keep those with which they were opened. */
  readonly #outdated = new WeakSet<BackendSession>();
  /** Asked at every call; most workers never see a reload. */
  #hasOutdated = false;

  constructor(parts: SessionBackendsParts) {
    this.#parts = parts;
  }

  /** The session's backend session, made (not opened) at its first use; undefined if there is no such backend (any more). */
  get(session: Session, name: string): BackendSession | undefined {
    const known = session.backends.get(name);
    if (known && this.#hasOutdated) this.#replaceOutdated(session, known);
    return session.backends.get(name) ?? this.#create(session, name, undefined);
  }

  /**
   * After a claim: goes on with what the record holds, without a new initialize. What belongs to no backend of the session's server
   * (its configuration changed while nobody owned the session, or its owner died over the change) is torn down.
   */
  restore(session: Session, records: Readonly<Record<string, BackendSessionRecord>>): void {
    const { belongs, leave } = this.#parts;
    for (const [name, record] of Object.entries(records)) {
      if (session.facts.server.backends.includes(name) && belongs(session, name, record)) this.#create(session, name, record);
      else leave.leave(session, name, { backend: undefined, saved: record, saving: undefined, retired: undefined });
    }
  }

  /** Its backend was removed from the configuration or from the session's server, or is another one now: the next call opens anew. */
  end(session: Session, name: string): void {
    const backend = session.backends.get(name);
    const link = backend && this.#links.get(backend);
    if (!link) return;
    this.#parts.leave.retire(session, backend, link);
    this.#parts.leave.leave(session, name, link);
  }

  /**
   * Its backend is the same, with other settings (headers, times): goes on with the same backend session under them. A process keeps
   * those with which it was started.
   */
  adjust(session: Session, name: string): void {
    const backend = session.backends.get(name);
    const link = backend && this.#links.get(backend);
    if (!link) return;
    if (backend.isBoundToWorker) {
      this.#outdated.add(backend);
      this.#hasOutdated = true;
      return;
    }
    const { saved } = link;
    // Race: an id is on its way into the record, and would come under the new settings without their knowing.
    if (link.saving) {
      this.end(session, name);
      return;
    }
    if (saved) link.handedOn = saved.generation;
    this.#parts.leave.retire(session, backend, link);
    session.former?.lastGenerations.delete(name);
    if (saved?.transport === 'http') this.#create(session, name, saved);
  }

  /** What it was bound to is gone: its next channel opens under the settings in force. */
  #replaceOutdated(session: Session, known: BackendSession): void {
    if (known.isBoundToWorker || !this.#outdated.delete(known)) return;
    const link = this.#links.get(known);
    if (link) this.#parts.leave.retire(session, known, link);
  }

  /** Which backends (of those that are in force and of former ones) still have sessions here. */
  inUse(sessions: Iterable<Session>): Set<Backend> {
    const used = new Set<Backend>();
    for (const session of sessions) {
      for (const one of [...session.backends.values(), ...(session.former?.retired ?? [])]) {
        const backend = this.#links.get(one)?.backend;
        if (backend) used.add(backend);
      }
    }
    return used;
  }

  #create(session: Session, name: string, record: BackendSessionRecord | undefined): BackendSession | undefined {
    const backend = this.#parts.backends.get(name);
    if (!backend) return undefined;
    const link: Link = { backend, saved: record, saving: undefined, retired: undefined };
    const made = backend.createSession(this.#host(session, name, link), record);
    this.#links.set(made, link);
    session.backends.set(name, made);
    if (session.standalone) made.setListening(true, session.listeningHeaders);
    else if (session.listScope !== '') {
      // Many servers ask as soon as they are open, before the client's own stream is (or is again), and ask into the void if nobody
      // listens: whoever can be asked is listened for, as for a client that has just left.
      made.setListening(true);
      made.setListening(false);
    }
    return made;
  }

  #host(session: Session, backend: string, link: Link): BackendSessionHost {
    const { directory, clientRequests, standing, onNotification, onStateLost, onDiscard, leave } = this.#parts;
    return {
      sessionRef: session.facts.ref,
      mayAct: () => session.mayAct(),
      save: (previousGeneration, value) => {
        if (link.retired) return leave.adopt(link, value);
        const saving = this.#save(session, backend, previousGeneration, value, link).finally(() => {
          link.saving = undefined;
        });
        link.saving = saving;
        return saving;
      },
      confirmed: (value) => {
        // Of one that has left the record forgets everything.
        if (link.retired || !session.mayAct()) return;
        const saved = session.asSaved(backend, value);
        link.saved = saved;
        const { ref } = session.facts;
        directory.saveBackendSession(ref, session.token, backend, saved.generation, saved).catch(() => undefined);
      },
      // By the generation that the index of open ids may know it under.
      discard: (value) => {
        const saved = session.asSaved(backend, value);
        if (link.handedOn !== saved.generation) onDiscard(session, backend, saved);
      },
      opened: (info, headers) => (link.retired ? undefined : standing.opened(session, backend, info, headers)),
      onChannelLost: () => {
        if (!link.retired) standing.lost(session, backend);
      },
      clientCapabilities: askableCapabilities(session.facts.client.capabilities),
      ask: (question) => clientRequests.ask(session, backend, question),
      withdraw: (id, json) => clientRequests.withdraw(session, backend, id, json),
      forget: (id) => clientRequests.forget(session, backend, id),
      onNotification: (json) => onNotification(session, backend, json),
      onEventId: (eventId) => {
        if (!link.retired) session.streams.mark(backend, session.generationOf(backend), eventId);
      },
      onEventsLost: () => {
        if (link.retired) return;
        session.streams.mark(backend, 0, undefined);
        session.streams.tellGap(this.#parts.clock.monotonicMs());
      },
      onStateLost: (reason) => {
        // Of one that has left nothing is needed any more.
        if (!link.retired) onStateLost(session, backend, reason);
      },
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
    issued: BackendSessionRecord,
    link: Link,
  ): Promise<'saved' | 'refused'> {
    const { clock, directory, onFenced, onReinitialized } = this.#parts;
    const { ref } = session.facts;
    const replaced = link.saved;
    const untilMs = clock.monotonicMs() + SAVE_TRIES_MS;
    // What this name stood for before is torn down first: this value would overwrite the only trace of it.
    const { done } = session.former?.leaving.get(backend) ?? {};
    if (done && (await Promise.race([done, pause(clock, SAVE_TRIES_MS).then(() => 'late')])) === 'late') return 'refused';
    const value = session.asSaved(backend, issued);
    let previous = previousGeneration === 0 ? 0 : previousGeneration + value.generation - issued.generation;
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
          link.saved = value;
          // The backend ended it itself, so no teardown takes it out of the index. Lost, the entry lasts as long as a record would.
          if (replaced?.digest !== undefined) {
            directory.forgetOpen(replaced.digest, { ref, generation: replaced.generation }).catch(() => undefined);
          }
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
