// Whether a request is begun at all. Asked for what comes from clients and for what other workers forward alike: an owner must not drown
// behind an edge that is idle. Only requests that wait for an answer are refused, before anything of them has begun; notifications, answers
// to the server's questions, DELETE and GET streams go on or free what is there.
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

/** Callers that are remembered although they have nothing under way: a Map whose entries come and go with every request is dear. */
const KEPT_SHARES = 1000;

// Made once: an error and its stack would cost more than the rest of the refusal.
const QUEUE = new GatewayError('OVERLOADED', { details: { reason: 'queue' } });
const REQUESTS = new GatewayError('OVERLOADED', { details: { reason: 'requests' } });
const PRINCIPAL = new GatewayError('PRINCIPAL_BUSY', { details: { reason: 'principal' } });

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #shares = new Map<string, Share>();
  readonly #common: Share;
  #open = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#common = this.#newShare(undefined);
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
    const { body } = exchange;
    if (body && awaitsAnswer(body)) {
      const refusal = this.#refusalOf(share, body.kind === 'request' && body.message.method === 'initialize');
      if (refusal) {
        share.forget();
        this.#options.onRefused(refusal);
        writeError(exchange, refusal);
        return Promise.resolve();
      }
    }
    share.open += 1;
    this.#open += 1;
    return this.#options.execute(exchange).then(share.leave, share.leaveAfter);
  }

  #refusalOf(share: Share, opens: boolean): GatewayError | undefined {
    const { watch, maxRequests, maxPerPrincipal } = this.#options;
    if (watch.mustRefuse(opens)) return QUEUE;
    if (this.#open >= maxRequests()) return REQUESTS;
    if (share !== this.#common && share.open >= (maxPerPrincipal() ?? Number.POSITIVE_INFINITY)) return PRINCIPAL;
    return undefined;
  }

  /** Where the caller is: what was forwarded has been counted there. */
  #shareOf({ hop, principal }: Exchange): Share {
    if (hop || this.#options.maxPerPrincipal() === undefined) return this.#common;
    return this.#shares.get(principal.digest) ?? this.#remember(principal);
  }

  #remember({ digest }: Principal): Share {
    const share = this.#newShare(digest);
    this.#shares.set(digest, share);
    return share;
  }

  #newShare(digest: string | undefined): Share {
    const forget = () => {
      if (share.open === 0 && digest !== undefined && this.#shares.size > KEPT_SHARES) this.#shares.delete(digest);
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
