// What a client has asked for that stands until it takes it back: a log level, subscriptions to resources. Backends keep it in their own
// sessions; we keep it for those that replace them, and the session's record for the owners after us.
import { GatewayError } from '../errors/gateway-error.js';
import { isObject } from '../protocol/json-rpc.js';
import { type Keyring, seal, unseal } from '../secrets/keyring.js';

/** Per session, over all its backends: whoever takes it over asks for them again. */
const MAX_SUBSCRIPTIONS = 500;
/** Of their URIs together, in UTF-16 units: all of it is written with every change. */
const MAX_LENGTH = 32 * 1024;

export class Standing {
  level: string | undefined;
  /** URIs by backend. */
  readonly subscriptions = new Map<string, Set<string>>();
  /** Which level the backend sessions of now were told. */
  readonly told = new Map<string, string>();
  /** As the record has it or is to have it; '': nothing stands. URIs may be somebody's secrets. */
  sealed = '';
  /** As the record has it. */
  saved = '';

  /** @param text of a record; what cannot be read is as if nothing stood */
  static read(keyring: Keyring, ref: string, text: string): Standing {
    const standing = new Standing();
    standing.sealed = text;
    standing.saved = text;
    const parsed: unknown = JSON.parse(unseal(keyring, text, contextOf(ref)) ?? '{}');
    const { level, subscriptions } = isObject(parsed) ? parsed : {};
    if (typeof level === 'string') standing.level = level;
    for (const [backend, uris] of Object.entries(isObject(subscriptions) ? subscriptions : {})) {
      standing.subscriptions.set(backend, new Set(uris as string[]));
    }
    return standing;
  }

  /** @returns false if it stood already. @throws GatewayError SUBSCRIPTIONS_FULL */
  subscribe(backend: string, uri: string): boolean {
    const uris = this.subscriptions.get(backend);
    if (uris?.has(uri)) return false;
    let count = 1;
    let length = uri.length;
    for (const others of this.subscriptions.values()) {
      count += others.size;
      for (const other of others) length += other.length;
    }
    if (count > MAX_SUBSCRIPTIONS || length > MAX_LENGTH) {
      const details = { reason: 'subscriptions_full', limit: MAX_SUBSCRIPTIONS, maxLength: MAX_LENGTH };
      throw new GatewayError('SUBSCRIPTIONS_FULL', { details });
    }
    if (uris) uris.add(uri);
    else this.subscriptions.set(backend, new Set([uri]));
    return true;
  }

  /** @returns false if it did not stand */
  unsubscribe(backend: string, uri: string): boolean {
    const uris = this.subscriptions.get(backend);
    if (!uris?.delete(uri)) return false;
    if (uris.size === 0) this.subscriptions.delete(backend);
    return true;
  }

  /** Where a URI was subscribed. */
  backendOf(uri: string): string | undefined {
    for (const [backend, uris] of this.subscriptions) if (uris.has(uri)) return backend;
    return undefined;
  }

  /** Something has changed: what the record has to hold from now on. @param backends that the session still uses */
  reseal(keyring: Keyring, ref: string, backends: readonly string[]): void {
    for (const backend of [...this.subscriptions.keys()]) if (!backends.includes(backend)) this.subscriptions.delete(backend);
    const { level, subscriptions } = this;
    if (level === undefined && subscriptions.size === 0) {
      this.sealed = '';
      return;
    }
    const byBackend = Object.fromEntries([...subscriptions].map(([backend, uris]) => [backend, [...uris]]));
    this.sealed = seal(keyring, JSON.stringify({ level, subscriptions: byBackend }), contextOf(ref));
  }
}

/** Of one session, nothing can be passed off as another's. */
function contextOf(ref: string): string {
  return `standing/${ref}`;
}
