// By what the gateway proves to a backend who it is, where that changes while sessions live. Knows nothing of transports: whoever
// sends requests asks `current()` for each and puts it into the Authorization header.
import { GatewayError } from '../../errors/gateway-error.js';

export interface Credentials {
  /** False: there is nothing to ask for (none, or a header that the configuration fixes). */
  readonly isDynamic: boolean;
  /** Why there is none now, as one word, for health and status; undefined: all is well, or nobody has asked yet. */
  readonly problem: string | undefined;
  /**
   * The value of the Authorization header for a request that leaves now. Synchronous and cheap: asked for every request.
   * Undefined with `isDynamic`: it has to be obtained first, by `ensure`.
   */
  current(): string | undefined;
  /**
   * Obtains one if there is none. @param deadlineMs monotonic
   * @throws GatewayError BACKEND_UNAVAILABLE with the reason in its details; nothing was sent to the backend
   */
  ensure(deadlineMs: number): Promise<string>;
  /**
   * The backend answered 401 to this value: another one is to take its place, which `ensure` waits for; `current` may give the old one
   * a little longer. A value that is no longer in use changes nothing.
   */
  refuse(value: string): void;
  close(): void;
}

/** No credential, or one that is among the configured headers. */
export const NO_CREDENTIALS: Credentials = {
  isDynamic: false,
  problem: undefined,
  current: () => undefined,
  ensure: () => Promise.reject(new Error('there is nothing to obtain')),
  refuse: () => undefined,
  close: () => undefined,
};

/** The little of a logger that is used here. */
export interface CredentialLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/**
 * `credential_unavailable`: a file is missing or holds nothing usable. `oauth_refused`: the authorization server does not give us a
 * token. `oauth_unreachable`, `oauth_failed`, `oauth_bad_reply`: it cannot be reached, answers with a server error, or answers
 * nonsense. `busy`: too many requests wait for a token already.
 */
export type CredentialReason =
  | 'credential_unavailable'
  | 'oauth_refused'
  | 'oauth_unreachable'
  | 'oauth_failed'
  | 'oauth_bad_reply'
  | 'busy';

/** The call was not begun. @param more safe to show */
export function noCredential(
  backend: string,
  reason: CredentialReason,
  more: Readonly<Record<string, unknown>> = {},
): GatewayError {
  return new GatewayError('BACKEND_UNAVAILABLE', { message: reason, details: { backend, reason, ...more } });
}

/** Longer than any token in the field, short enough for the header limits of servers. */
export const MAX_TOKEN_LENGTH = 16 * 1024;

/** Visible ASCII of a bearable length: what fits behind `Bearer `. */
export function isToken(text: string): boolean {
  return text.length <= MAX_TOKEN_LENGTH && /^[\x21-\x7e]+$/.test(text);
}

/** The credential now if there is one or none is needed; else what `ensure` obtains. */
export async function obtain(credentials: Credentials, deadlineMs: number): Promise<string | undefined> {
  return credentials.current() ?? (credentials.isDynamic ? credentials.ensure(deadlineMs) : undefined);
}
