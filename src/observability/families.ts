// The three kinds of metric, as plain numbers: the hot path adds to a cell that it finds without building an object or a hash of
// labels (which is what prom-client does on every call). Snapshots have prom-client's JSON shape, so that its aggregation and its
// text format serve the rest.

/** How the values of several workers become one; counters and histograms are always summed. */
export type Aggregation = 'sum' | 'max' | 'min' | 'first';

export interface MetricValue {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Of a histogram: `<name>_bucket`, `<name>_sum`, `<name>_count`. */
  readonly metricName?: string;
}

export interface MetricSnapshot {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly aggregator: Aggregation;
  readonly values: readonly MetricValue[];
}

export interface FamilyDoc {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly aggregator: Aggregation;
}

/** Label values come from our code and configuration, but a mistake there must not fill the memory: beyond this all are `other`. */
const MAX_CELLS = 1000;

/** One combination of label values. Keep it where the same combination is counted often. */
export class Cell {
  value = 0;

  inc(by = 1): void {
    this.value += by;
  }

  dec(by = 1): void {
    this.value -= by;
  }

  set(value: number): void {
    this.value = value;
  }
}

interface Branch {
  readonly next: Map<string, Branch>;
  cell: Cell | undefined;
}

/** Cells by their label values, found by one map per label: strings of our own code are looked up without being joined. */
class Cells<Labels extends readonly string[]> {
  readonly #root: Branch = { next: new Map(), cell: undefined };
  readonly #all: Array<{ labels: Record<string, string | number>; cell: Cell }> = [];
  readonly #doc: FamilyDoc;
  readonly #fixed: Readonly<Record<string, string | number>>;

  constructor(doc: FamilyDoc, fixed: Readonly<Record<string, string | number>>) {
    this.#doc = doc;
    this.#fixed = fixed;
    if (this.#freeLabels().length === 0) this.find([] as unknown as Labels);
  }

  find(labels: Labels): Cell {
    let branch = this.#root;
    for (const label of labels) {
      let next = branch.next.get(label);
      if (!next) {
        if (this.#all.length >= MAX_CELLS && label !== 'other') return this.find(labels.map(() => 'other') as unknown as Labels);
        next = { next: new Map(), cell: undefined };
        branch.next.set(label, next);
      }
      branch = next;
    }
    if (!branch.cell) {
      branch.cell = new Cell();
      const named = Object.fromEntries(this.#freeLabels().map((name, index) => [name, labels[index] ?? '']));
      this.#all.push({ labels: { ...this.#fixed, ...named }, cell: branch.cell });
    }
    return branch.cell;
  }

  remove(labels: Labels): void {
    let branch: Branch | undefined = this.#root;
    for (const label of labels) branch = branch?.next.get(label);
    const index = this.#all.findIndex(({ cell }) => cell === branch?.cell);
    if (!branch || index < 0) return;
    branch.cell = undefined;
    this.#all.splice(index, 1);
  }

  values(): MetricValue[] {
    return this.#all.map(({ labels, cell }) => ({ labels, value: cell.value }));
  }

  #freeLabels(): string[] {
    return this.#doc.labels.filter((name) => !(name in this.#fixed));
  }
}

export class CounterFamily<Labels extends readonly string[] = []> {
  readonly #doc: FamilyDoc;
  readonly #cells: Cells<Labels>;

  constructor(doc: FamilyDoc) {
    this.#doc = doc;
    this.#cells = new Cells(doc, {});
  }

  /** Counts one. */
  inc(...labels: Labels): void {
    this.#cells.find(labels).value += 1;
  }

  add(by: number, ...labels: Labels): void {
    this.#cells.find(labels).value += by;
  }

  /** The cell of one combination, to keep. */
  child(...labels: Labels): Cell {
    return this.#cells.find(labels);
  }

  snapshot(): MetricSnapshot {
    return { ...headOf(this.#doc), values: this.#cells.values() };
  }
}

export class GaugeFamily<Labels extends readonly string[] = []> {
  readonly #doc: FamilyDoc;
  readonly #cells: Cells<Labels>;
  readonly #readers: Array<() => void> = [];

  /** @param fixed labels that never change here, such as the index of the worker */
  constructor(doc: FamilyDoc, fixed: Readonly<Record<string, string | number>>) {
    this.#doc = doc;
    this.#cells = new Cells(doc, fixed);
  }

  set(value: number, ...labels: Labels): void {
    this.#cells.find(labels).set(value);
  }

  add(by: number, ...labels: Labels): void {
    this.#cells.find(labels).inc(by);
  }

  child(...labels: Labels): Cell {
    return this.#cells.find(labels);
  }

  /** What it was about is no more. */
  remove(...labels: Labels): void {
    this.#cells.remove(labels);
  }

  /** The value is read when somebody collects, instead of being kept up to date. */
  measure(read: () => number, ...labels: Labels): void {
    const cell = this.#cells.find(labels);
    this.#readers.push(() => cell.set(read()));
  }

  snapshot(): MetricSnapshot {
    for (const read of this.#readers) read();
    return { ...headOf(this.#doc), values: this.#cells.values() };
  }
}

/** Of seconds. Buckets from half a millisecond to five minutes (the longest request by default). */
export class DurationHistogram {
  static readonly boundsSeconds: readonly number[] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
  ];
  readonly #doc: FamilyDoc;
  /** One more than bounds: the last is +Inf. Not yet cumulative, so that an observation touches one number. */
  readonly #counts = new Float64Array(DurationHistogram.boundsSeconds.length + 1);
  #sum = 0;

  constructor(doc: FamilyDoc) {
    this.#doc = doc;
  }

  observe(seconds: number): void {
    const bounds = DurationHistogram.boundsSeconds;
    let index = 0;
    while (index < bounds.length && seconds > (bounds[index] as number)) index += 1;
    this.#counts[index] = (this.#counts[index] as number) + 1;
    this.#sum += seconds;
  }

  snapshot(): MetricSnapshot {
    const { name } = this.#doc;
    let total = 0;
    const buckets = [...DurationHistogram.boundsSeconds, '+Inf'].map((le, index) => {
      total += this.#counts[index] as number;
      return { labels: { le }, value: total, metricName: `${name}_bucket` };
    });
    return {
      ...headOf(this.#doc),
      values: [
        ...buckets,
        { labels: {}, value: this.#sum, metricName: `${name}_sum` },
        { labels: {}, value: total, metricName: `${name}_count` },
      ],
    };
  }
}

function headOf(doc: FamilyDoc): Omit<MetricSnapshot, 'values'> {
  return { name: doc.name, help: doc.help, type: doc.type, aggregator: doc.aggregator };
}
