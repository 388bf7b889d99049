// Branded identifiers, so that a session id can never stand where its reference belongs (an id is a key to a session).
import { createHash, randomBytes } from 'node:crypto';

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** What a client holds: opaque, 192 random bits as base64url. Never written to Redis, logs or metrics. */
export type SessionId = Brand<string, 'SessionId'>;
/** SHA-256 of a session id, 128 bits as base64url: what Redis, logs and the admin API show. */
export type SessionRef = Brand<string, 'SessionRef'>;
/** `<name>.<incarnation>`: one life of one worker process. */
export type WorkerId = Brand<string, 'WorkerId'>;
/** Grows by one with every change of owner; with the owner's id it is the fencing token. */
export type Epoch = Brand<number, 'Epoch'>;

/** The fencing token: who owned a session, in which epoch. `owner` is '' in a record that was released. */
export interface OwnerToken {
  readonly owner: WorkerId | '';
  readonly epoch: Epoch;
}

const SESSION_ID_PATTERN = /^[A-Za-z0-9_-]{32}$/;

/** Mints a session id: 192 random bits. */
export function mintSessionId(): SessionId {
  return randomBytes(24).toString('base64url') as SessionId;
}

/** Format check before anything is done with an id that a client sent: anything we could not have minted is unknown. */
export function isSessionId(text: string): text is SessionId {
  return SESSION_ID_PATTERN.test(text);
}

/** The reference of a session id. */
export function referenceOf(id: SessionId): SessionRef {
  return createHash('sha256').update(id).digest('base64url').slice(0, 22) as SessionRef;
}

/** Format check of a reference that came over the hop. */
export function isSessionRef(value: unknown): value is SessionRef {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{22}$/.test(value);
}

/** A digest (128 bits, base64url) of anything that must not stand readable in Redis, such as a principal. */
export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}

/** Names a backend session without telling its id. `place`: where it was opened. What the index of open ids is kept by. */
export function digestOfBackendSession(place: string, id: string): string {
  return digestOf(JSON.stringify([place, id]));
}

/** A new incarnation: random, made after the fork, never reused. */
export function mintWorkerId(name: string): WorkerId {
  return `${name}.${randomBytes(9).toString('base64url')}` as WorkerId;
}

/** A claim nonce: makes a repeated claim return its first result. */
export function mintNonce(): string {
  return randomBytes(12).toString('base64url');
}
