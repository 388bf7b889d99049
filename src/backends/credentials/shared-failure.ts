// Which failures to fetch a token are told to all workers, and how one hears of another's.
import type { CredentialReason } from './credentials.js';

/** Of the authorization server itself. */
const OF_ALL: ReadonlySet<CredentialReason> = new Set(['oauth_unreachable', 'oauth_failed']);

/** Whether the other workers would fail as well. A secret that cannot be read, or an old one while pods are replaced, is one worker's. */
export function isOfAll(reason: CredentialReason): boolean {
  return OF_ALL.has(reason);
}

/** Another worker asked and failed; so would we. */
export class SharedFailure extends Error {
  constructor(
    readonly reason: string,
    readonly failures: number,
    readonly retryAfterMs: number,
  ) {
    super(reason);
  }
}
