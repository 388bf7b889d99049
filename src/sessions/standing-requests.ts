// Keeps what clients have asked for (standing.ts) in force: at backend sessions that open later, or in place of lost ones, before anything
// else is called there; and in the record, for the next owner.
import type { BackendInfo, BackendSession } from '../backends/backend.js';
import type { OwnRequests } from '../backends/own-requests.js';
import type { Directory } from '../directory/directory.js';
import { GatewayError } from '../errors/gateway-error.js';
import { type Clock, pause } from '../lifecycle/clock.js';
import type { Keyring } from '../secrets/keyring.js';
import { canSubscribe } from '../servers/merge-info.js';
import type { Headers } from '../streams/exchange.js';
import { RecordSaver } from './record-saver.js';
import type { Session } from './session.js';
import { Standing } from './standing.js';

export interface StandingRequestsParts {
  readonly ownRequests: Pick<OwnRequests, 'request'>;
  readonly clock: Clock;
  readonly keyring: Keyring;
  readonly directory: Pick<Directory, 'saveStanding'>;
  /** The session's backend session, made at its first use. */
  readonly backendOf: (session: Session, name: string) => BackendSession | undefined;
  readonly warn: (message: string, details: Record<string, unknown>) => void;
}

/** Calls wait for so long until a backend session that has just opened is as the client wants it. */
const PREPARE_MS = 5000;
/** Subscriptions that are asked for again at a time. */
const PARALLEL = 8;
/** An answer waits so long for its write: Redis may be away, and the write is tried on. */
const SAVE_MS = 1000;
const REOPEN_MS = 1000;
const MAX_REOPEN_MS = 60_000;
/** A command may have to install itself. */
const OPEN_MS = 60_000;

export class StandingRequests {
  readonly #parts: StandingRequestsParts;
  readonly saver: RecordSaver;
  /** Being opened for their subscriptions. */
  readonly #reopening = new WeakMap<Session, Set<string>>();

  constructor(parts: StandingRequestsParts) {
    this.#parts = parts;
    const kept = {
      unsaved: ({ standing }: Session) => (standing && standing.sealed !== standing.saved ? standing.sealed : undefined),
      write: ({ facts, token, standing }: Session) => parts.directory.saveStanding(facts.ref, token, standing?.sealed ?? ''),
      saved: ({ standing }: Session, sealed: string | number) => {
        if (standing) standing.saved = String(sealed);
      },
    };
    this.saver = new RecordSaver(kept, parts.clock);
  }

  /** Of a session, for changes. */
  of(session: Session): Standing {
    session.standing ??= this.#inherited(session) ?? new Standing();
    return session.standing;
  }

  /**
   * It has changed: written before the client is told so, unless Redis is silent.
   * @throws GatewayError NOT_OWNER where it may have gone into nobody's record: asked again at the owner, it does no harm
   */
  async changed(session: Session): Promise<void> {
    const { facts } = session;
    this.of(session).reseal(this.#parts.keyring, facts.ref, facts.server.backends);
    await Promise.race([this.saver.note(session), pause(this.#parts.clock, SAVE_MS)]);
    if (!session.mayAct()) throw new GatewayError(session.state === 'ended' ? 'SESSION_NOT_FOUND' : 'NOT_OWNER');
  }

  /**
   * A backend session is open, perhaps in place of a lost one.
   * @param headers it was opened with
   * @returns undefined if nothing has to be done; else resolves when calls may come, within a bound, and never rejects
   */
  opened(session: Session, backend: string, info: BackendInfo, headers: Headers): Promise<void> | undefined {
    const standing = this.#peek(session);
    const opened = session.backends.get(backend);
    if (!standing || !opened) return undefined;
    standing.told.delete(backend);
    const level = info.capabilities.logging ? standing.level : undefined;
    const uris = canSubscribe(info) ? [...(standing.subscriptions.get(backend) ?? [])] : [];
    if (level === undefined && uris.length === 0) return undefined;
    return this.#prepare(session, opened, standing, { level, uris, headers });
  }

  /** Its client reads a standalone stream: what tells of its subscriptions is opened without waiting for a call. */
  listening(session: Session): void {
    const standing = this.#peek(session);
    for (const backend of standing?.subscriptions.keys() ?? []) this.#reopen(session, backend, 0);
  }

  /** The state of a backend is gone, and the next call would open it anew. */
  lost(session: Session, backend: string): void {
    this.#reopen(session, backend, REOPEN_MS);
  }

  #peek(session: Session): Standing | undefined {
    session.standing ??= this.#inherited(session);
    return session.standing;
  }

  #inherited(session: Session): Standing | undefined {
    const { inheritedStanding, facts } = session;
    session.inheritedStanding = undefined;
    return inheritedStanding === undefined ? undefined : Standing.read(this.#parts.keyring, facts.ref, inheritedStanding);
  }

  async #prepare(
    session: Session,
    backend: BackendSession,
    standing: Standing,
    { level, uris, headers }: { level: string | undefined; uris: string[]; headers: Headers },
  ): Promise<void> {
    const { clock, ownRequests, warn } = this.#parts;
    const deadlineMs = clock.monotonicMs() + PREPARE_MS;
    let refused = 0;
    const ask = async (method: string, params: Record<string, unknown>): Promise<boolean> => {
      const request = { method, params, headers, deadlineMs, isPreparation: true };
      const response = await ownRequests.request(backend, request).catch(() => undefined);
      if (response && !response.error) return true;
      refused++;
      return false;
    };
    if (level !== undefined && (await ask('logging/setLevel', { level }))) standing.told.set(backend.backend, level);
    const waiting = [...uris];
    const work = async () => {
      for (let uri = waiting.pop(); uri !== undefined; uri = waiting.pop()) {
        // It may have changed while nobody told us: the client is to look again.
        if (await ask('resources/subscribe', { uri })) session.streams.tell(updated(uri), clock.monotonicMs());
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL, uris.length) }, work));
    if (refused > 0) {
      const details = { session: session.facts.ref, backend: backend.backend, refused };
      warn('a backend that was opened anew did not take what its client had asked for', details);
    }
  }

  /** Tried on with growing pauses, as long as the client listens. */
  #reopen(session: Session, name: string, delayMs: number): void {
    const reopening = this.#reopening.get(session) ?? new Set();
    if (reopening.has(name) || !this.#isWanted(session, name)) return;
    this.#reopening.set(session, reopening.add(name));
    void this.#open(session, name, delayMs).finally(() => reopening.delete(name));
  }

  async #open(session: Session, name: string, delayMs: number): Promise<void> {
    const { clock, backendOf } = this.#parts;
    for (let waitMs = delayMs; ; waitMs = Math.min(Math.max(waitMs * 2, REOPEN_MS), MAX_REOPEN_MS)) {
      if (waitMs > 0) await pause(clock, waitMs);
      if (!this.#isWanted(session, name)) return;
      // Not ours for the moment: claimed back, it goes on.
      if (!session.mayAct()) continue;
      const backend = backendOf(session, name);
      if (!backend || backend.isOpen) return;
      const opened = await backend.open(clock.monotonicMs() + OPEN_MS, session.listeningHeaders).catch(() => undefined);
      if (opened) return;
    }
  }

  #isWanted(session: Session, name: string): boolean {
    if (session.state === 'ended' || session.state === 'released' || !session.standalone) return false;
    return session.facts.server.backends.includes(name) && this.#peek(session)?.subscriptions.has(name) === true;
  }
}

function updated(uri: string): string {
  return JSON.stringify({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri } });
}
