// One scrape for all workers of the primary: whoever answers in time is in it, whoever hangs delays it by a second at most.
//
// Counters must never fall, or Prometheus takes the fall for a restart and counts everything again: those of a worker that did not
// answer are repeated as last known, those of a dead one are kept for good. Gauges of either are left out: nobody knows them.
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client';
import type { Clock } from '../lifecycle/clock.js';
import { GaugeFamily, type MetricSnapshot } from '../observability/families.js';
import { metricDoc } from '../observability/metric-docs.js';
import type { ToWorker } from './messages.js';

/** How long a scrape waits for workers, ms. */
export const COLLECT_MS = 1000;

/** A worker, as far as a scrape is concerned. */
export interface MetricsSource {
  readonly isReady: boolean;
  send(message: ToWorker): void;
}

export interface Scrape {
  readonly text: string;
  readonly contentType: string;
  readonly reporting: number;
  readonly configured: number;
}

interface Known {
  latest: readonly MetricSnapshot[];
  /** Asked and not yet answered: a worker that hangs is not asked again, so that questions do not pile up in its channel. */
  isAsked: boolean;
}

export class MetricsCollector {
  readonly #sources: () => readonly MetricsSource[];
  readonly #configured: number;
  readonly #clock: Clock;
  readonly #known = new Map<MetricsSource, Known>();
  readonly #gone = new WeakSet<MetricsSource>();
  readonly #waiting = new Set<() => void>();
  readonly #workers = new GaugeFamily<[state: string]>(metricDoc('workers'), {});
  #departed: readonly MetricSnapshot[] = [];
  #scrape: Promise<Scrape> | undefined;
  #request = 0;

  readonly #own: () => readonly MetricSnapshot[];

  /** @param options.own what the primary itself counts */
  constructor(options: {
    sources: () => readonly MetricsSource[];
    configured: number;
    clock: Clock;
    own?: () => readonly MetricSnapshot[];
  }) {
    this.#own = options.own ?? (() => []);
    this.#sources = options.sources;
    this.#configured = options.configured;
    this.#clock = options.clock;
  }

  /** Answers within COLLECT_MS and the time to add up; several at once share one collection. */
  scrape(): Promise<Scrape> {
    this.#scrape ??= this.#collect().finally(() => {
      this.#scrape = undefined;
    });
    return this.#scrape;
  }

  /** A worker has answered, in time or not. */
  take(source: MetricsSource, metrics: unknown): void {
    // Race: Node tells of the end of a process before the last messages in its channel. Counted already, it would count twice in this
    // scrape and once in the next: a counter that falls.
    if (this.#gone.has(source)) return;
    this.#known.set(source, { latest: metrics as readonly MetricSnapshot[], isAsked: false });
    for (const check of this.#waiting) check();
  }

  /** A worker has died: what it counted still counts. */
  async forget(source: MetricsSource): Promise<void> {
    const latest = this.#known.get(source)?.latest ?? [];
    this.#known.delete(source);
    this.#gone.add(source);
    for (const check of this.#waiting) check();
    const counted = [...this.#departed, ...onlyCounted(latest)];
    this.#departed = counted;
    const merged = (await aggregate([counted]).getMetricsAsJSON()) as unknown as MetricSnapshot[];
    // If another one died meanwhile, its own merge covers this one too.
    if (this.#departed === counted) this.#departed = merged;
  }

  async #collect(): Promise<Scrape> {
    const asked = [...this.#sources()];
    const answered = new Set<MetricsSource>();
    this.#request += 1;
    for (const source of asked) {
      const known = this.#known.get(source) ?? { latest: [], isAsked: false };
      if (!known.isAsked) source.send({ kind: 'collect', request: this.#request });
      this.#known.set(source, { ...known, isAsked: true });
    }
    await this.#untilAnswered(asked, answered);

    const living = this.#sources();
    this.#workers.set(this.#configured, 'configured');
    this.#workers.set(living.filter(({ isReady }) => isReady).length, 'ready');
    this.#workers.set(answered.size, 'reporting');
    const parts = asked.map((source) => {
      const latest = this.#known.get(source)?.latest ?? [];
      return answered.has(source) ? latest : onlyCounted(latest);
    });
    const registry = aggregate([[this.#workers.snapshot(), ...this.#own()], ...parts, this.#departed]);
    return {
      text: await registry.metrics(),
      contentType: registry.contentType,
      reporting: answered.size,
      configured: this.#configured,
    };
  }

  #untilAnswered(asked: readonly MetricsSource[], answered: Set<MetricsSource>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(COLLECT_MS, () => finish());
      const finish = () => {
        timer.cancel();
        this.#waiting.delete(check);
        resolve();
      };
      const check = () => {
        for (const source of asked) if (this.#known.get(source)?.isAsked === false) answered.add(source);
        if (asked.every((source) => answered.has(source) || !this.#known.has(source))) finish();
      };
      this.#waiting.add(check);
      check();
    });
  }
}

function onlyCounted(snapshots: readonly MetricSnapshot[]): readonly MetricSnapshot[] {
  return snapshots.filter(({ type }) => type !== 'gauge');
}

function aggregate(parts: ReadonlyArray<readonly MetricSnapshot[]>) {
  // Its JSON says type as text where the typings want the enum.
  return AggregatorRegistry.aggregate(parts as unknown as MetricObjectWithValues<MetricValue<string>>[]);
}
