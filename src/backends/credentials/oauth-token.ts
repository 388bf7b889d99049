// A token of the client credentials grant, shared by the cluster. In memory for requests; the shared store decides who fetches the
// next one. Available beats exact: where the store is away, each worker fetches for itself.
import { randomBytes } from 'node:crypto';
import { type GatewayError, toGatewayError } from '../../errors/gateway-error.js';
import { type Clock, pause, type Timer } from '../../lifecycle/clock.js';
import type { TokenClaim, TokenStore } from '../../directory/token-store.js';
import type { Keyring } from '../../secrets/keyring.js';
import { type CredentialLogger, type CredentialReason, type Credentials, noCredential } from './credentials.js';
import { RefusalPace, retryPauseMs } from './pace.js';
import { type HeldToken, type SharedToken, sealToken, shareToken, unsealToken } from './shared-token.js';
import { isOfAll, SharedFailure } from './shared-failure.js';
import { type GrantedToken, TokenRequestFailed } from './token-request.js';

export interface OAuthTokenOptions {
  readonly backend: string;
  /** Authenticated with the sealed token: names client and authorization server. */
  readonly place: string;
  readonly store: TokenStore;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly logger: CredentialLogger | undefined;
  /** @throws TokenRequestFailed */
  readonly request: (signal: AbortSignal) => Promise<GrantedToken>;
}

/** First wait for the token that another worker fetches; doubles up to the second. */
const POLL_MS = 25;
const MAX_POLL_MS = 400;
/** A claim holds 10 s: two holders in a row have died when this is over, and the worker fetches for itself. */
const PATIENCE_MS = 25_000;
/** Requests that may wait for a token. */
const MAX_WAITING = 1000;
/** Tokens that one request waits for: beyond the first only where each is refused as it comes. */
const MAX_ROUNDS = 3;

/** How long a token that was refused stays in use while the next one is fetched: one caller's 401 must not stop all others. */
const REFUSED_MS = 5000;

interface Run {
  /** Settled as soon as there is something to use, or nothing to be had. */
  readonly outcome: Promise<void>;
  /** It has nothing more to do, sharing included. Never rejects. */
  finished: Promise<void>;
  isSettled: boolean;
  resolve(): void;
  reject(error: GatewayError): void;
}

export class OAuthToken implements Credentials {
  readonly isDynamic = true;
  readonly #options: OAuthTokenOptions;
  readonly #closed = new AbortController();
  readonly #refusals: RefusalPace;
  #held: HeldToken | undefined;
  /** The version to be replaced: the last one, whether it ran out or was refused. */
  #unwanted = '';
  /** Whether anybody asked since the token came: one that nobody uses is not renewed. */
  #isUsed = false;
  #timer: Timer | undefined;
  #run: Run | undefined;
  #waiting = 0;
  #failures = 0;
  #retryAtMs = 0;
  #error: GatewayError | undefined;

  constructor(options: OAuthTokenOptions) {
    this.#options = options;
    this.#refusals = new RefusalPace(options.clock);
  }

  get problem(): string | undefined {
    return this.#error && !this.#usable() ? String(this.#error.details?.reason) : undefined;
  }

  current(): string | undefined {
    const held = this.#usable();
    if (!held) return undefined;
    this.#isUsed = true;
    const nowMs = this.#options.clock.monotonicMs();
    if (!this.#run && (held.refusedUntilMs !== undefined || nowMs >= held.freshUntilMs)) this.#refreshAhead();
    return this.#run && nowMs >= (held.refusedUntilMs ?? Number.POSITIVE_INFINITY) ? undefined : held.header;
  }

  async ensure(deadlineMs: number): Promise<string> {
    const { backend, clock } = this.#options;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const header = this.current();
      // Whoever can wait need not take one that was refused, if another is on its way.
      if (header !== undefined && !(this.#run && this.#held?.refusedUntilMs !== undefined)) return header;
      // In the pause after a failure: the token endpoint is not asked once per request.
      if (!this.#run && this.#error && clock.monotonicMs() < this.#retryAtMs) throw this.#error;
      if (this.#closed.signal.aborted) throw noCredential(backend, 'credential_unavailable', { cause: 'closed' });
      const run = this.#run ?? this.#start();
      // Race: what a run brought was refused while the run still shares it; then the next one has to begin behind it.
      try {
        await this.#await(run.isSettled ? run.finished : run.outcome, deadlineMs);
      } catch (error) {
        const left = this.#usable();
        if (!left) throw error;
        return left.header;
      }
    }
    throw noCredential(backend, 'credential_unavailable', { cause: 'refused' });
  }

  async #await(what: Promise<void>, deadlineMs: number): Promise<void> {
    const { backend, clock } = this.#options;
    if (this.#waiting >= MAX_WAITING) throw noCredential(backend, 'busy');
    this.#waiting++;
    let timer: Timer | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const leftMs = Math.max(0, deadlineMs - clock.monotonicMs());
      timer = clock.after(leftMs, () => reject(noCredential(backend, 'oauth_unreachable', { cause: 'timeout' })));
    });
    try {
      await Promise.race([what, late]);
    } finally {
      timer?.cancel();
      this.#waiting--;
    }
  }

  refuse(value: string): void {
    const held = this.#held;
    if (value !== held?.header || !this.#refusals.mayDrop()) return;
    const { backend, clock, logger } = this.#options;
    logger?.warn({ backend }, 'the backend refused the token: another is fetched');
    held.refusedUntilMs = clock.monotonicMs() + REFUSED_MS;
    this.#refreshAhead();
  }

  close(): void {
    this.#timer?.cancel();
    this.#closed.abort();
    this.#run?.reject(noCredential(this.#options.backend, 'credential_unavailable', { cause: 'closed' }));
  }

  #usable(): HeldToken | undefined {
    const held = this.#held;
    return held && this.#options.clock.monotonicMs() < held.usableUntilMs ? held : undefined;
  }

  /** Requests go on with the token that there is; a failure is told in the log and tried again later. */
  #refreshAhead(): void {
    if (this.#run || this.#closed.signal.aborted || this.#options.clock.monotonicMs() < this.#retryAtMs) return;
    this.#start();
  }

  #start(): Run {
    let resolve!: () => void;
    let reject!: (error: GatewayError) => void;
    const outcome = new Promise<void>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    outcome.catch(() => undefined);
    const run: Run = {
      outcome,
      finished: outcome,
      isSettled: false,
      resolve() {
        run.isSettled = true;
        resolve();
      },
      reject(error) {
        run.isSettled = true;
        reject(error);
      },
    };
    this.#run = run;
    run.finished = this.#obtain()
      .then(run.resolve, (error: unknown) => run.reject(this.#failed(error)))
      .finally(() => {
        this.#run = undefined;
      });
    return run;
  }

  async #obtain(): Promise<void> {
    const { clock, store } = this.#options;
    const nonce = randomBytes(12).toString('base64url');
    const untilMs = clock.monotonicMs() + PATIENCE_MS;
    for (let pollMs = POLL_MS; clock.monotonicMs() < untilMs; pollMs = Math.min(pollMs * 2, MAX_POLL_MS)) {
      let claim: TokenClaim;
      try {
        claim = await store.claim(this.#unwanted, nonce);
      } catch {
        // Redis is away. Every worker may come here at once; that is better than none having a token.
        break;
      }
      const opened = claim.sealed === undefined ? undefined : this.#open(claim.sealed);
      const isAdopted = opened !== undefined && this.#adopt(opened);
      switch (claim.kind) {
        case 'token':
          if (isAdopted) return;
          // Sealed by a key that this worker does not hold, or by a clock that is far off.
          return void (await this.#fetch());
        case 'claimed':
          return this.#fetchForAll(nonce);
        case 'failed':
          throw new SharedFailure(claim.reason, claim.failures, claim.retryAfterMs);
        case 'busy':
          await pause(clock, pollMs * (0.75 + Math.random() / 2));
          if (this.#closed.signal.aborted) return;
      }
    }
    await this.#fetch();
  }

  async #fetchForAll(nonce: string): Promise<void> {
    const { backend, clock, keyring, logger, place, store } = this.#options;
    let token: SharedToken;
    try {
      token = await this.#fetch();
    } catch (error) {
      const reason = error instanceof TokenRequestFailed ? error.reason : 'credential_unavailable';
      // A worker that stops has not failed: the others may go on at once.
      const pauseMs = isOfAll(reason) && !this.#closed.signal.aborted ? retryPauseMs(this.#failures) : 0;
      // Not awaited: who waits here need not wait for Redis as well.
      store.fail(nonce, reason, this.#failures + 1, pauseMs).catch(() => undefined);
      throw error;
    }
    const { version, freshUntilMs } = token;
    const lifeMs = token.usableUntilMs - clock.wallMs();
    const isShared = await store
      .publish(nonce, { version, freshUntilMs, lifeMs, sealed: sealToken(keyring, place, token) })
      .catch(() => false);
    if (!isShared) logger?.warn({ backend }, 'a fetched token could not be shared with the other workers');
  }

  async #fetch(): Promise<SharedToken> {
    const { backend, clock, logger, request } = this.#options;
    const askedMs = clock.wallMs();
    const granted = await request(this.#closed.signal);
    logger?.info({ backend, lifeMs: granted.lifeMs }, 'fetched a token');
    const token = shareToken(granted, askedMs);
    if (!this.#adopt(token)) throw new TokenRequestFailed('oauth_bad_reply', { cause: 'expires_in' });
    return token;
  }

  #open(sealed: string): SharedToken | undefined {
    return unsealToken(this.#options.keyring, this.#options.place, sealed);
  }

  /** @returns whether it can be used */
  #adopt({ version, value, freshUntilMs, usableUntilMs }: SharedToken): boolean {
    const { clock } = this.#options;
    const toMonotonicMs = clock.monotonicMs() - clock.wallMs();
    const held = {
      header: `Bearer ${value}`,
      version,
      freshUntilMs: freshUntilMs + toMonotonicMs,
      usableUntilMs: usableUntilMs + toMonotonicMs,
      refusedUntilMs: undefined,
    };
    if (held.usableUntilMs <= clock.monotonicMs()) return false;
    if (this.#held?.version === version) return true;
    this.#held = held;
    this.#unwanted = version;
    this.#isUsed = false;
    if (held.freshUntilMs > clock.monotonicMs()) this.#succeeded(held.freshUntilMs);
    this.#run?.resolve();
    return true;
  }

  #succeeded(freshUntilMs: number): void {
    const { clock } = this.#options;
    this.#failures = 0;
    this.#retryAtMs = 0;
    this.#error = undefined;
    this.#timer?.cancel();
    this.#timer = clock.after(freshUntilMs - clock.monotonicMs(), () => {
      if (this.#isUsed) this.#refreshAhead();
    });
  }

  #failed(error: unknown): GatewayError {
    const { backend, clock, logger } = this.#options;
    const known =
      error instanceof TokenRequestFailed
        ? noCredential(backend, error.reason, error.details)
        : error instanceof SharedFailure
          ? noCredential(backend, error.reason as CredentialReason)
          : toGatewayError(error);
    const pauseMs = error instanceof SharedFailure ? error.retryAfterMs : retryPauseMs(this.#failures);
    this.#failures = error instanceof SharedFailure ? error.failures : this.#failures + 1;
    this.#retryAtMs = clock.monotonicMs() + pauseMs;
    this.#error = known;
    if (!this.#closed.signal.aborted) {
      const kept = this.#usable() ? 'the last one stays in use while it is good' : 'the backend cannot be used';
      logger?.warn({ backend, details: known.details, retryInMs: Math.round(pauseMs) }, `no new token: ${kept}`);
    }
    return known;
  }
}
