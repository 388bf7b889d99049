// The keys that are accepted now, by their digests.
import { hash } from 'node:crypto';
import type { KeyEntry } from '../config/schema-auth.js';
import type { Principal } from '../streams/exchange.js';
import { keyPrincipal } from './principals.js';

export class KnownKeys {
  readonly #fixed: readonly KeyEntry[];
  #byDigest: ReadonlyMap<string, Principal> = new Map();
  #names: ReadonlySet<string> = new Set();
  /** Those that had more keys before the last change. */
  #reduced: ReadonlySet<string> = new Set();

  /** @param fixed `auth.keys`, which only a restart changes */
  constructor(fixed: readonly KeyEntry[]) {
    this.#fixed = fixed;
    this.replace([]);
  }

  /** In one step, so that no request sees a mixture. @param further entries of the keys file */
  replace(further: readonly KeyEntry[]): void {
    const byDigest = new Map<string, Principal>();
    for (const { id, sha256 } of [...this.#fixed, ...further]) {
      const principal = keyPrincipal(id);
      for (const digest of sha256) byDigest.set(digest, principal);
    }
    const gone = [...this.#byDigest].filter(([digest, { name }]) => byDigest.get(digest)?.name !== name);
    this.#reduced = new Set(gone.map(([, { name }]) => name));
    this.#byDigest = byDigest;
    this.#names = new Set([...byDigest.values()].map(({ name }) => name));
  }

  /** Another one after each change. */
  get known(): object {
    return this.#byDigest;
  }

  /**
   * Whose key this is. The comparison takes no constant time and need not: what is compared are digests, and how much of a digest
   * somebody has right tells nothing about a key that has it. Node reads headers as latin1, so that gives back the bytes as sent.
   */
  find(key: string): Principal | undefined {
    return this.#byDigest.get(hash('sha256', Buffer.from(key, 'latin1'), 'hex'));
  }

  /** Whether every key of this principal that was accepted before the last change is accepted still: with which one he came is not kept. */
  knows({ name }: Principal): boolean {
    return this.#names.has(name) && !this.#reduced.has(name);
  }
}
