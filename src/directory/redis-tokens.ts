// The shared tokens in Redis. Both keys of one client share a slot, so that one script decides.
import type { Clock } from '../lifecycle/clock.js';
import type { RedisConnection } from '../redis/connect.js';
import { runScript } from '../redis/script.js';
import type { TokenKeys } from './keys.js';
import { claimToken } from './scripts/claim-token.js';
import { publishToken } from './scripts/publish-token.js';
import type { PublishedToken, TokenClaim, TokenStore } from './token-store.js';

/** Above the time that a worker gives the authorization server (8 s); a worker that dies meanwhile costs the others no more. */
const CLAIM_MS = 10_000;

export interface RedisTokensOptions {
  /** One that fails at once while Redis is away. */
  readonly connection: RedisConnection;
  readonly keys: TokenKeys;
  readonly clock: Clock;
  /** How long a claim holds without being settled, ms; default 10 000. */
  readonly claimMs?: number;
}

export class RedisTokens implements TokenStore {
  readonly #options: RedisTokensOptions;

  constructor(options: RedisTokensOptions) {
    this.#options = options;
  }

  async claim(unwanted: string, nonce: string): Promise<TokenClaim> {
    const { clock, claimMs = CLAIM_MS } = this.#options;
    const [kind, text, said = '', leftMs] = await this.#run(claimToken, [unwanted, clock.wallMs(), nonce, claimMs]);
    const sealed = typeof text === 'string' && text !== '' ? text : undefined;
    switch (kind) {
      case 'token':
        if (sealed !== undefined) return { kind, sealed };
        break;
      case 'claimed':
      case 'busy':
        return { kind, sealed };
      case 'failed': {
        const [, failures, reason = ''] = String(said).split(' ');
        return { kind, sealed, reason, failures: Number(failures) || 1, retryAfterMs: Math.max(0, Number(leftMs) || 0) };
      }
    }
    throw new Error(`claim-token replied ${String(kind)}`);
  }

  async publish(nonce: string, token: PublishedToken): Promise<boolean> {
    const args = [nonce, token.version, token.freshUntilMs, token.sealed, Math.max(1, Math.floor(token.lifeMs))];
    return (await this.#run(publishToken, args))[0] === 'published';
  }

  async fail(nonce: string, reason: string, failures: number, pauseMs: number): Promise<void> {
    await this.#run(publishToken, [nonce, `failed ${failures} ${reason}`, Math.max(0, Math.floor(pauseMs))]);
  }

  async #run(script: typeof claimToken, args: readonly (string | number)[]): Promise<unknown[]> {
    const { connection, keys } = this.#options;
    return (await runScript(connection, script, [keys.token, keys.claim], args)) as unknown[];
  }
}
