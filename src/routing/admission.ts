// Whether a request is begun at all. Asked for what comes from clients and for what other workers forward alike: an owner must not drown
// behind an edge that is idle. Refused are requests that wait for an answer, before anything of them has begun; notifications, answers to
// the server's questions and DELETE go on or free what is there, and are refused only when there are twice as many; GET streams never.
import { GatewayError } from '../errors/gateway-error.js';
import { awaitsAnswer, type Exchange, type Principal } from '../streams/exchange.js';
import type { QueueWatch } from './queue-watch.js';
import { writeError } from './write-error.js';

export interface AdmissionOptions {
  readonly watch: Pick<QueueWatch, 'mustRefuse'>;
  /** `limits.requests`, asked for each. */
  readonly maxRequests: () => number;
  /** `limits.requestsPerPrincipal`; undefined where callers are not told apart. */
  readonly maxPerPrincipal: () => number | undefined;
  readonly execute: (exchange: Exchange) => Promise<void>;
  readonly onRefused: (error: GatewayError) => void;
}

/** What one caller, or everybody where they are not told apart, has under way. Its functions are made once, not for each request. */
interface Share {
  open: number;
  readonly leave: () => void;
  readonly leaveAfter: (error: unknown) => never;
  /** If nothing is under way, and too many are remembered already. */
  readonly forget: () => void;
}

/** Of the bound for requests: what waits for no answer may still come. A bound all the same, against floods of it. */
const ALL_PER_REQUESTS = 2;

/** Callers that are remembered although they have nothing under way: a Map whose entries come and go with every request is dear. */
const KEPT_SHARES = 1000;

// Made once: an error and its stack would cost more than the rest of the refusal.
const QUEUE = new GatewayError('OVERLOADED', { details: { reason: 'queue' } });
const REQUESTS = new GatewayError('OVERLOADED', { details: { reason: 'requests' } });
const PRINCIPAL = new GatewayError('PRINCIPAL_BUSY', { details: { reason: 'principal' } });

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #shares = new Map<string, Share>();
  /** Of callers whose requests other workers forward. */
  readonly #forwarded = new Map<string, Share>();
  readonly #common: Share;
  #open = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#common = this.#newShare(() => undefined);
  }

  /** Requests under way, those that others forwarded included; streams of GET are not counted. */
  get open(): number {
    return this.#open;
  }

  /** Answers the exchange, exactly once. Never rejects. */
  execute(exchange: Exchange): Promise<void> {
    // A stream of another worker's edge goes on elsewhere when its session is released: a drain does not wait for its end.
    if (exchange.method === 'GET') return this.#options.execute(exchange);
    const share = this.#shareOf(exchange);
    const refusal = this.#refusalOf(exchange, share);
    if (refusal) {
      share.forget();
      this.#options.onRefused(refusal);
      writeError(exchange, refusal);
      return Promise.resolve();
    }
    const { body } = exchange;
    if (body?.kind === 'batch' && body.ids.length > 1) return this.#executeMany(exchange, share, body.ids.length);
    share.open += 1;
    this.#open += 1;
    return this.#options.execute(exchange).then(share.leave, share.leaveAfter);
  }

  /** A batch takes the place of the requests in it. */
  #executeMany(exchange: Exchange, share: Share, requests: number): Promise<void> {
    share.open += requests;
    this.#open += requests;
    return this.#options.execute(exchange).finally(() => {
      share.open -= requests - 1;
      this.#open -= requests - 1;
      share.leave();
    });
  }

  #refusalOf({ body, hop }: Exchange, share: Share): GatewayError | undefined {
    const { watch, maxRequests, maxPerPrincipal } = this.#options;
    if (!body || !awaitsAnswer(body)) {
      // That a session is to end is said by workers, of whom there are few, and said once.
      return hop?.kind !== 'end' && this.#open >= ALL_PER_REQUESTS * maxRequests() ? REQUESTS : undefined;
    }
    if (watch.mustRefuse(body.kind === 'request' && body.message.method === 'initialize')) return QUEUE;
    if (this.#open >= maxRequests()) return REQUESTS;
    if (share !== this.#common && share.open >= (maxPerPrincipal() ?? Number.POSITIVE_INFINITY)) return PRINCIPAL;
    return undefined;
  }

  /**
   * At the owner as well as at the edge: a caller with a share at each of many edges has only one at an owner of his sessions. Apart from
   * that at the edge of the same worker, or he would have half as much with many workers as with one.
   */
  #shareOf({ hop, principal }: Exchange): Share {
    if (this.#options.maxPerPrincipal() === undefined) return this.#common;
    const shares = hop ? this.#forwarded : this.#shares;
    return shares.get(principal.digest) ?? this.#remember(principal, shares);
  }

  #remember({ digest }: Principal, shares: Map<string, Share>): Share {
    const share = this.#newShare(() => {
      if (shares.size > KEPT_SHARES) shares.delete(digest);
    });
    shares.set(digest, share);
    return share;
  }

  /** @param onEmpty nothing of it is under way */
  #newShare(onEmpty: () => void): Share {
    const forget = () => {
      if (share.open === 0) onEmpty();
    };
    const leave = () => {
      share.open -= 1;
      this.#open -= 1;
      forget();
    };
    const share: Share = {
      open: 0,
      forget,
      leave,
      leaveAfter: (error) => {
        leave();
        throw error;
      },
    };
    return share;
  }
}
