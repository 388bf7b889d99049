// A token as all workers share it: sealed for Redis, with the times by which each of them refreshes and drops it.
import { randomBytes } from 'node:crypto';
import { isObject } from '../../protocol/json-rpc.js';
import { type Keyring, seal, unseal } from '../../secrets/keyring.js';
import type { GrantedToken } from './token-request.js';

/** From then on the next one is fetched, while requests go on with this one. */
const FRESH_SHARE = 0.8;
/** Not used in the last moments of its life: it would run out on the way. */
const MARGIN_SHARE = 0.1;
const MAX_MARGIN_MS = 10_000;

export interface SharedToken {
  /** Random; says nothing of the token. */
  readonly version: string;
  readonly value: string;
  /** Wall times, ms. */
  readonly freshUntilMs: number;
  readonly usableUntilMs: number;
}

/** @param askedMs wall time before it was asked for: its life cannot have begun earlier */
export function shareToken({ value, lifeMs }: GrantedToken, askedMs: number): SharedToken {
  return {
    version: randomBytes(12).toString('base64url'),
    value,
    freshUntilMs: Math.round(askedMs + lifeMs * FRESH_SHARE),
    usableUntilMs: Math.round(askedMs + lifeMs - Math.min(lifeMs * MARGIN_SHARE, MAX_MARGIN_MS)),
  };
}

/** @param place binds it to one client at one authorization server: moved elsewhere it does not open */
export function sealToken(keyring: Keyring, place: string, token: SharedToken): string {
  return seal(keyring, JSON.stringify(token), place);
}

/** @returns undefined if it is not ours, was altered, or its key is not (yet) known here */
export function unsealToken(keyring: Keyring, place: string, sealed: string): SharedToken | undefined {
  const text = unseal(keyring, sealed, place);
  if (text === undefined) return undefined;
  const token: unknown = JSON.parse(text);
  if (!isObject(token) || typeof token.value !== 'string' || typeof token.version !== 'string') return undefined;
  if (typeof token.freshUntilMs !== 'number' || typeof token.usableUntilMs !== 'number') return undefined;
  return token as unknown as SharedToken;
}

/** A token as one worker uses it. */
export interface HeldToken {
  readonly header: string;
  readonly version: string;
  /** Monotonic. */
  readonly freshUntilMs: number;
  readonly usableUntilMs: number;
  /** Set once it was refused: another one is to take its place. Until then it is used while that one is fetched. */
  refusedUntilMs: number | undefined;
}
