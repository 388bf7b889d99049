// The records of sessions: every transition is one script (scripts/), fenced by the token where the rules ask for it.
import type { Epoch, OwnerToken, SessionRef, WorkerId } from '../protocol/ids.js';
import { type DirectoryConnection, unexpected } from './connection.js';
import {
  type BackendSessionRecord,
  type ClaimOutcome,
  type Directory,
  type HeldSession,
  MAX_ASKED_LENGTH,
  type NewSessionRecord,
  type Refusal,
  type SavedNames,
  type SessionRecord,
  UnreadableRecord,
  type Verdict,
} from './directory.js';
import {
  ANSWERED_FIELD,
  ASKED_FIELD,
  backendField,
  decodeRecord,
  encodeBackend,
  encodeRecord,
  generationField,
  hasMarks,
  namesField,
  STANDING_FIELD,
} from './record.js';
import { addMark } from './scripts/add-mark.js';
import { claimEnding } from './scripts/claim-ending.js';
import { claimSession } from './scripts/claim-session.js';
import { closeSession } from './scripts/close-session.js';
import { createSession } from './scripts/create-session.js';
import { dropBackendSession } from './scripts/drop-backend-session.js';
import { extendRecord } from './scripts/extend-record.js';
import { releaseSession } from './scripts/release-session.js';
import { removeSession } from './scripts/remove-session.js';
import { saveBackendSession } from './scripts/save-backend-session.js';
import { saveFields } from './scripts/save-fields.js';

/** Characters of all marks of delivered answers: about 64 of them. */
const MAX_ANSWERED_LENGTH = 1024;

export class RedisSessions {
  constructor(
    private readonly connection: DirectoryConnection,
    /** Of records, in ms: idle limit + 1 day. */
    private readonly ttlMs: number,
  ) {}

  async create(
    ref: SessionRef,
    record: NewSessionRecord,
    nonce: string,
    replaceLower: boolean,
  ): Promise<'created' | 'exists' | 'closing'> {
    const [kind] = await this.connection.script(
      createSession,
      [this.key(ref)],
      [
        record.owner,
        record.epoch,
        nonce,
        this.ttlMs,
        replaceLower ? '1' : '0',
        record.state ?? 'active',
        ...encodeRecord(record, nonce),
      ],
    );
    if (kind === 'created' || kind === 'exists' || kind === 'closing') return kind;
    return unexpected('createSession', kind);
  }

  /** The record, or undefined if there is none (which alone does not mean that the session is gone: Redis may have lost it). */
  async read(ref: SessionRef): Promise<SessionRecord | undefined> {
    const fields = await this.connection.attempt((redis) => redis.hgetall(this.key(ref)));
    return Object.keys(fields).length === 0 ? undefined : this.decode(Object.entries(fields).flat());
  }

  async claim(ref: SessionRef, from: OwnerToken, claimant: WorkerId, nonce: string, above: number): Promise<ClaimOutcome> {
    const epoch = (Math.max(from.epoch, above) + 1) as Epoch;
    const [kind, first, second] = await this.connection.script(
      claimSession,
      [this.key(ref)],
      [from.owner, from.epoch, claimant, epoch, nonce, this.ttlMs],
    );
    switch (kind) {
      case 'claimed': {
        const record = this.decode(first);
        await this.connection.confirm();
        this.keepPrincipal(record.principal);
        return { kind, epoch, record };
      }
      case 'ownedByOther':
        return { kind, token: { owner: first as WorkerId | '', epoch: Number(second) as Epoch } };
      case 'closing':
      case 'missing':
        return { kind };
      default:
        return unexpected('claimSession', kind);
    }
  }

  async release(ref: SessionRef, token: OwnerToken): Promise<{ readonly kind: 'released' } | Refusal> {
    const [kind] = await this.connection.script(releaseSession, [this.key(ref)], [token.owner, token.epoch]);
    return kind === 'released' ? { kind } : refusal('releaseSession', kind);
  }

  async saveBackend(
    ref: SessionRef,
    token: OwnerToken,
    backend: string,
    previousGeneration: number,
    value: BackendSessionRecord,
  ): Promise<{ readonly kind: 'saved' } | { readonly kind: 'conflict' } | Refusal> {
    const [kind] = await this.connection.script(
      saveBackendSession,
      [this.key(ref)],
      [
        token.owner,
        token.epoch,
        backendField(backend),
        generationField(backend),
        previousGeneration,
        value.generation,
        encodeBackend(value),
      ],
    );
    return kind === 'saved' || kind === 'conflict' ? { kind } : refusal('saveBackendSession', kind);
  }

  saveNames(ref: SessionRef, token: OwnerToken, names: SavedNames): Promise<{ readonly kind: 'saved' } | Refusal> {
    const fields = (['tools', 'prompts'] as const).flatMap((kind) => [namesField(kind), names[kind] ?? '']);
    return this.#saveFields(ref, token, fields);
  }

  saveStanding(ref: SessionRef, token: OwnerToken, standing: string): Promise<{ readonly kind: 'saved' } | Refusal> {
    return this.#saveFields(ref, token, [STANDING_FIELD, standing]);
  }

  async #saveFields(ref: SessionRef, token: OwnerToken, fields: string[]): Promise<{ readonly kind: 'saved' } | Refusal> {
    const [kind] = await this.connection.script(saveFields, [this.key(ref)], [token.owner, token.epoch, ...fields]);
    return kind === 'saved' ? { kind } : refusal('saveFields', kind);
  }

  noteAnswered(ref: SessionRef, token: OwnerToken, mark: string): Promise<{ readonly kind: 'saved' } | Refusal> {
    return this.#addMark(ref, token, ANSWERED_FIELD, mark, MAX_ANSWERED_LENGTH);
  }

  noteAsked(ref: SessionRef, token: OwnerToken, id: string): Promise<{ readonly kind: 'saved' } | Refusal> {
    return this.#addMark(ref, token, ASKED_FIELD, id, MAX_ASKED_LENGTH);
  }

  async #addMark(
    ref: SessionRef,
    token: OwnerToken,
    field: string,
    mark: string,
    maxLength: number,
  ): Promise<{ readonly kind: 'saved' } | Refusal> {
    const [kind] = await this.connection.script(addMark, [this.key(ref)], [token.owner, token.epoch, field, mark, maxLength]);
    return kind === 'saved' ? { kind } : refusal('addMark', kind);
  }

  async dropBackend(
    ref: SessionRef,
    token: OwnerToken,
    backend: string,
    generation: number,
  ): Promise<{ readonly kind: 'dropped' } | { readonly kind: 'conflict' } | Refusal> {
    const [kind] = await this.connection.script(
      dropBackendSession,
      [this.key(ref)],
      [token.owner, token.epoch, backendField(backend), generationField(backend), generation],
    );
    return kind === 'dropped' || kind === 'conflict' ? { kind } : refusal('dropBackendSession', kind);
  }

  /** Reads only, all in one tick: one round trip for the batch (per server, on a Cluster). */
  async verify(entries: readonly HeldSession[]): Promise<readonly Verdict[]> {
    return this.connection.attempt((redis) =>
      Promise.all(
        entries.map(async ({ ref, token, generations, standing, answered = [], asked = [] }): Promise<Verdict> => {
          const backends = Object.keys(generations);
          const fields = [
            'owner',
            'epoch',
            'state',
            STANDING_FIELD,
            ANSWERED_FIELD,
            ASKED_FIELD,
            ...backends.map(generationField),
          ];
          const [owner, epoch, state, stands, marks, ids, ...saved] = await redis.hmget(this.key(ref), ...fields);
          if (state === null || state === undefined) return 'missing';
          if (owner !== token.owner || epoch !== String(token.epoch)) return 'fenced';
          if (state === 'closing') return 'closing';
          if ((stands ?? '') !== standing) return 'outdated';
          if (!hasMarks(marks, answered) || !hasMarks(ids, asked)) return 'outdated';
          return backends.every((backend, i) => saved[i] === String(generations[backend])) ? 'valid' : 'outdated';
        }),
      ),
    );
  }

  async close(ref: SessionRef, token: OwnerToken | undefined): ReturnType<Directory['closeSession']> {
    const [kind, fields] = await this.connection.script(
      closeSession,
      [this.key(ref)],
      [token?.owner ?? '', token?.epoch ?? '', this.ttlMs],
    );
    switch (kind) {
      case 'closed':
      case 'alreadyClosing':
        return { kind, record: this.decode(fields) };
      case 'fenced':
      case 'missing':
        return { kind };
      default:
        return unexpected('closeSession', kind);
    }
  }

  async claimEnding(ref: SessionRef, from: OwnerToken, claimant: WorkerId): ReturnType<Directory['claimEnding']> {
    const [kind, fields] = await this.connection.script(
      claimEnding,
      [this.key(ref)],
      [from.owner, from.epoch, claimant, from.epoch + 1],
    );
    switch (kind) {
      case 'claimed': {
        const record = this.decode(fields);
        await this.connection.confirm();
        return { kind, record };
      }
      case 'fenced':
      case 'active':
      case 'missing':
        return { kind };
      default:
        return unexpected('claimEnding', kind);
    }
  }

  /** @returns false if the session was not ended: then nothing was deleted */
  async remove(ref: SessionRef): Promise<boolean> {
    const [kind] = await this.connection.script(removeSession, [this.key(ref)], []);
    return kind === 'removed';
  }

  async extend(ref: SessionRef, token: OwnerToken): Promise<void> {
    const [kind, principal] = await this.connection.script(extendRecord, [this.key(ref)], [token.owner, token.epoch, this.ttlMs]);
    if (kind === 'extended') this.keepPrincipal(principal as string);
  }

  /** Which of these have no record, in one round trip. */
  async findMissing(refs: readonly SessionRef[]): Promise<SessionRef[]> {
    return this.connection.attempt(async (redis) => {
      const found = await Promise.all(refs.map((ref) => redis.exists(this.key(ref))));
      return refs.filter((_, i) => found[i] === 0);
    });
  }

  private key(ref: SessionRef): string {
    return this.connection.keys.session(ref);
  }

  private decode(fields: unknown): SessionRecord {
    try {
      return decodeRecord(fields as string[]);
    } catch (error) {
      throw new UnreadableRecord(error);
    }
  }

  /** A principal's index must outlive its members' records; it lies in another slot, so no script can set both. */
  private keepPrincipal(principal: string): void {
    this.connection.quietly((redis) => redis.pexpire(this.connection.keys.principal(principal), this.ttlMs));
  }
}

function refusal(script: string, kind: string): Refusal {
  if (kind === 'fenced' || kind === 'closing' || kind === 'missing') return { kind };
  return unexpected(script, kind);
}
