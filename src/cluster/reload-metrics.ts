// What the primary counts of reloads.
import type { Clock } from '../lifecycle/clock.js';
import { CounterFamily, GaugeFamily, type MetricSnapshot } from '../observability/families.js';
import { metricDoc } from '../observability/metric-docs.js';
import type { ReloadOutcome } from './config-reload.js';

export class ReloadMetrics {
  readonly #reloads = new CounterFamily<[outcome: ReloadOutcome]>(metricDoc('config_reloads_total'));
  readonly #applied = new GaugeFamily(metricDoc('config_applied_timestamp_seconds'), {});
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#applied.set(clock.wallMs() / 1000);
  }

  note(outcome: ReloadOutcome): void {
    this.#reloads.inc(outcome);
    if (outcome === 'applied') this.#applied.set(this.#clock.wallMs() / 1000);
  }

  snapshot(): MetricSnapshot[] {
    return [this.#reloads.snapshot(), this.#applied.snapshot()];
  }
}
