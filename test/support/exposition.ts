// Reads the Prometheus text format (0.0.4) as strictly as it is written down, and refuses what a lenient scraper would let pass: families
// in pieces, series twice, samples before their TYPE, buckets that fall, counters without `_total`.

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const TYPES = new Set(['counter', 'gauge', 'histogram']);

/** @throws Error naming the line */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current: { name: string; help: string; family?: Family } | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const fail = (why: string) => new Error(`${why}: ${line}`);
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (families.has(name)) throw fail('a family in pieces');
      current = { name, help: rest };
    } else if (keyword === 'TYPE') {
      if (current?.name !== name || current.family || !TYPES.has(rest)) throw fail('TYPE without its HELP, or unknown');
      current.family = { type: rest, help: current.help, samples: [] };
      families.set(name, current.family);
    } else if (line !== '') {
      const sample = readSample(line);
      if (!current?.family || !belongs(sample.name, current.name, current.family.type)) throw fail('a sample outside its family');
      const series = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
      if (seen.has(series)) throw fail('a series twice');
      seen.add(series);
      current.family.samples.push(sample);
    }
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

function readSample(line: string): Sample {
  const [, name = '', inner, number = ''] = LINE.exec(line) ?? [];
  const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number);
  if (name === '' || number === '' || Number.isNaN(value)) throw new Error(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (inner !== undefined && LABEL.lastIndex < inner.length) {
    const [whole, label = '', text = ''] = LABEL.exec(inner) ?? [];
    if (whole === undefined || label in labels) throw new Error(`labels: ${line}`);
    labels[label] = text;
  }
  return { name, labels, value };
}

function belongs(sample: string, family: string, type: string): boolean {
  return type === 'histogram' ? ['_bucket', '_sum', '_count'].some((end) => sample === family + end) : sample === family;
}

function checkFamily(name: string, { type, help, samples }: Family): void {
  if (help === '') throw new Error(`${name}: no help`);
  if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`${name}: counters, and only they, end in _total`);
  if (type !== 'gauge' && samples.some(({ value }) => value < 0)) throw new Error(`${name}: negative`);
  if (type !== 'histogram') return;
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const values = buckets.map(({ value }) => value);
  const bounds = buckets.map(({ labels }) => (labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le)));
  const isRising = (list: number[]) => list.every((one, i) => i === 0 || one >= (list[i - 1] as number));
  if (!isRising(bounds) || !isRising(values) || bounds.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`${name}: buckets`);
  if (samples.find((sample) => sample.name === `${name}_count`)?.value !== values.at(-1)) throw new Error(`${name}: count`);
}
