// What a record keeps of an HTTP backend session: the id is a key to it and the headers hold credentials, so both are sealed.
import { isObject } from '../../protocol/json-rpc.js';
import { type Keyring, seal, unseal } from '../../secrets/keyring.js';
import type { Headers } from '../../streams/exchange.js';

export interface SealedSession {
  /** Undefined if the backend issued none. */
  readonly id: string | undefined;
  /** The static and forwarded headers that initialized it. */
  readonly headers: Headers;
  /** Where it was opened, without credentials: the configuration may change before it ends. */
  readonly url?: string | undefined;
}

/** Binds the sealed text to its place: one that was copied to another session or backend does not open. */
function contextOf(sessionRef: string, backend: string): string {
  return `${sessionRef}/${backend}`;
}

export function sealBackendSession(keyring: Keyring, sessionRef: string, backend: string, value: SealedSession): string {
  return seal(keyring, JSON.stringify({ id: value.id, headers: value.headers, url: value.url }), contextOf(sessionRef, backend));
}

/** @returns undefined if it is not ours, was altered, belongs elsewhere, or its key is gone */
export function unsealBackendSession(
  keyring: Keyring,
  sessionRef: string,
  backend: string,
  sealed: string,
): SealedSession | undefined {
  const text = unseal(keyring, sealed, contextOf(sessionRef, backend));
  if (text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  if (!isObject(value) || !isObject(value.headers)) return undefined;
  return {
    id: typeof value.id === 'string' ? value.id : undefined,
    headers: value.headers as Headers,
    url: typeof value.url === 'string' ? value.url : undefined,
  };
}

/** A configured URL as it is sealed and compared: its credentials are a header, the rest says where. */
export function placeOf(url: string): string {
  const place = new URL(url);
  place.username = '';
  place.password = '';
  place.hash = '';
  return place.href;
}
