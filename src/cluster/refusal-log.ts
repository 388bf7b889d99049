// Counts what is refused, and says in the log when a worker begins to refuse for want of room and when that is over: two lines for each
// such time, however many requests it concerned.
import type { GatewayError } from '../errors/gateway-error.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import type { Logger } from '../observability/log.js';
import type { Metrics } from '../observability/metrics.js';

/** A time of refusals is over when none came for so long: shorter, and one time would be told as many. */
export const OVER_AFTER_MS = 5000;

interface Spell {
  readonly sinceMs: number;
  lastMs: number;
  refused: number;
}

export class RefusalLog {
  readonly #clock: Clock;
  readonly #log: Pick<Logger, 'warn'>;
  readonly #metrics: Pick<Metrics, 'refused' | 'shed'>;
  readonly #spells = new Map<string, Spell>();
  #timer: Timer | undefined;

  constructor(clock: Clock, log: Pick<Logger, 'warn'>, metrics: Pick<Metrics, 'refused' | 'shed'>) {
    this.#clock = clock;
    this.#log = log;
    this.#metrics = metrics;
  }

  /** One request was refused, whatever for. */
  note(error: GatewayError): void {
    this.#metrics.refused.inc(String(error.status), error.code);
    if (error.code !== 'OVERLOADED' && error.code !== 'PRINCIPAL_BUSY') return;
    const reason = String(error.details?.reason);
    this.#metrics.shed.inc(reason);
    const nowMs = this.#clock.monotonicMs();
    const spell = this.#spells.get(reason);
    if (spell) {
      spell.refused += 1;
      spell.lastMs = nowMs;
      return;
    }
    this.#spells.set(reason, { sinceMs: nowMs, lastMs: nowMs, refused: 1 });
    this.#log.warn({ reason }, 'overloaded: requests are refused (docs/limits.md, Overload)');
    this.#timer ??= this.#clock.every(OVER_AFTER_MS / 5, () => this.#look());
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [reason, { sinceMs, lastMs, refused }] of this.#spells) {
      if (nowMs - lastMs < OVER_AFTER_MS) continue;
      this.#spells.delete(reason);
      this.#log.warn({ reason, refused, lastedMs: Math.round(lastMs - sinceMs) }, 'no longer overloaded: nothing is refused');
    }
    if (this.#spells.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
