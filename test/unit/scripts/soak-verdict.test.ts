// The soak must not call flat what grows: each kind of leak that it looks for has to be found in its series, and noise must not be one.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

interface Judged {
  readonly series: ReadonlyArray<{ readonly name: string; readonly verdict: string }>;
  readonly faults: readonly string[];
}

const program = join(__dirname, 'fixtures/judge-soak.mjs');
const MIB = 2 ** 20;
const SAMPLES = 60;
const EVERY_S = 10;
/** A tenth up and down, the same in every run. */
const noise = (i: number) => 0.1 * Math.sin(i * 2.3) * Math.cos(i * 1.7);
const nothing = {
  failures: [],
  wrong: [],
  leftKeys: [],
  openBackendSessions: 0,
  breaches: [],
  before: { values: {} },
  after: { values: {} },
};

type Series = Readonly<Record<string, { readonly kind: string; readonly at: (i: number) => number | undefined }>>;

function judge(series: Series, run: Partial<typeof nothing> = {}): Judged {
  const samples = Array.from({ length: SAMPLES }, (_, i) => {
    const values = Object.entries(series).map(([name, { kind, at }]) => [name, { kind, value: at(i) }] as const);
    return { seconds: i * EVERY_S, values: Object.fromEntries(values.filter(([, { value }]) => value !== undefined)) };
  });
  const input = JSON.stringify({ samples, fromSeconds: (SAMPLES * EVERY_S) / 2, run: { ...nothing, ...run } });
  return JSON.parse(execFileSync(process.execPath, [program], { input, encoding: 'utf8' })) as Judged;
}

const verdicts = ({ series }: Judged) => Object.fromEntries(series.map(({ name, verdict }) => [name, verdict]));

test('noise, warm-up and what becomes less are flat', () => {
  const judged = judge({
    noisy: { kind: 'heap', at: (i) => 40 * MIB * (1 + noise(i)) },
    warming: { kind: 'rss', at: (i) => Math.min(i, 20) * 5 * MIB + 80 * MIB },
    falling: { kind: 'keys', at: (i) => 1000 - 10 * i },
    still: { kind: 'clients', at: () => 20 },
  });
  expect(verdicts(judged)).toEqual({ noisy: 'flat', warming: 'flat', falling: 'flat', still: 'flat' });
  expect(judged.faults).toEqual([]);
});

test('a leak of every kind is found, through noise', () => {
  const leaks: Series = {
    heap: { kind: 'heap', at: (i) => 40 * MIB * (1 + noise(i) / 3) + i * 0.4 * MIB },
    memory: { kind: 'rss', at: (i) => 120 * MIB * (1 + noise(i) / 5) + i * MIB },
    files: { kind: 'files', at: (i) => Math.round(60 * (1 + noise(i)) + i) },
    records: { kind: 'keys', at: (i) => Math.round(150 * (1 + noise(i)) + 3 * i) },
    'memory of Redis': { kind: 'redis', at: (i) => 5 * MIB + i * 0.1 * MIB },
    connections: { kind: 'clients', at: (i) => 20 + Math.floor(i / 6) },
    'backend sessions': { kind: 'sessions', at: (i) => Math.round(100 * (1 + noise(i)) + 2 * i) },
    'backend connections': { kind: 'connections', at: (i) => 100 + i },
  };
  const judged = judge(leaks);
  expect(verdicts(judged)).toEqual(Object.fromEntries(Object.keys(leaks).map((name) => [name, 'grows'])));
  expect(judged.faults).toHaveLength(Object.keys(leaks).length);
});

test('a series that ends, as of a worker that was lost, is a fault', () => {
  const judged = judge({ 'worker 1': { kind: 'heap', at: (i) => (i < 33 ? 40 * MIB : undefined) } });
  expect(judged.faults).toEqual([expect.stringContaining('too few samples')]);
});

test.each<[string, Partial<Record<keyof typeof nothing, unknown>>]>([
  ['1 keys are left', { leftKeys: ['{a}:session'] }],
  ['3 backend sessions were not ended', { openBackendSessions: 3 }],
  ['2 failed: POST 503', { failures: [{ what: 'POST 503', count: 2, first: '' }] }],
  ['wrong answer: crossed', { wrong: [{ what: 'crossed', detail: '' }] }],
  ['a backend saw: DELETE', { breaches: [{ what: 'DELETE after the end' }] }],
  [
    'Redis: 30 after the last session',
    {
      before: { values: { Redis: { kind: 'clients', value: 20 } } },
      after: { values: { Redis: { kind: 'clients', value: 30 } } },
    },
  ],
])('what is left or wrong is a fault: %s', (text, run) => {
  expect(judge({}, run as Partial<typeof nothing>).faults).toEqual([expect.stringContaining(text)]);
});
