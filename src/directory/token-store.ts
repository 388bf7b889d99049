// Tokens that all workers share, and who fetches the next one. Contract; the Redis implementation is redis-tokens.ts. What is kept is
// sealed by the caller.

/** What a worker that needs a token is told. `sealed`, where it is there: a token past its refresh time, good until it ends. */
export type TokenClaim =
  /** Somebody has fetched one. */
  | { readonly kind: 'token'; readonly sealed: string }
  /** The caller fetches one, and publishes it or says that it failed, before its claim runs out. */
  | { readonly kind: 'claimed'; readonly sealed: string | undefined }
  /** Another worker fetches one. */
  | { readonly kind: 'busy'; readonly sealed: string | undefined }
  /** A worker failed to: nobody tries again for so long. */
  | {
      readonly kind: 'failed';
      readonly sealed: string | undefined;
      readonly reason: string;
      readonly failures: number;
      readonly retryAfterMs: number;
    };

export interface PublishedToken {
  /** Random; names this token and tells nothing of it. */
  readonly version: string;
  /** Wall time from which the next one should be fetched, ms. */
  readonly freshUntilMs: number;
  /** How long it is good, ms. */
  readonly lifeMs: number;
  readonly sealed: string;
}

/** The tokens of one client at one authorization server. Every method rejects while Redis is away. */
export interface TokenStore {
  /** @param unwanted version of the token that the caller has and wants no longer; '' if it has none */
  claim(unwanted: string, nonce: string): Promise<TokenClaim>;
  /** @returns false if the claim of this nonce ran out: then another worker fetches one, and ours stays our own */
  publish(nonce: string, token: PublishedToken): Promise<boolean>;
  /** @param pauseMs for all; 0: the failure was the caller's own, and the next one may try at once */
  fail(nonce: string, reason: string, failures: number, pauseMs: number): Promise<void>;
}
