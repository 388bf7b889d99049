// Turns rounds into ratios. A ratio is taken inside each round, where both sides had the same machine, and then the median over the
// rounds: absolute figures drift by tens of per cent within an hour.

/** Budgets that this bench can judge: numerator over denominator at a number of connections. */
const RATIOS = [
  { label: 'control: relay again / relay, CPU', of: 'relay-again', over: 'relay', at: 64, figure: 'cpuMicros' },
  { label: '#2 owner path / bare relay, CPU', of: 'owner', over: 'relay', at: 64, figure: 'cpuMicros', must: 1.5, aim: 1.25 },
  { label: '#4 owner path / bare relay, p99', of: 'owner', over: 'relay', at: 64, figure: 'p99', must: 1.5, aim: 1.2 },
  { label: '   owner path / bare relay, p50 at c1', of: 'owner', over: 'relay', at: 1, figure: 'p50' },
  { label: '   owner path / direct, p50 at c1', of: 'owner', over: 'direct', at: 1, figure: 'p50' },
  {
    label: '#5 forwarded (Unix) / owner path, CPU',
    of: 'sibling',
    over: 'owner',
    at: 64,
    figure: 'cpuMicros',
    must: 1.5,
    aim: 1.3,
  },
  { label: '#5 forwarded (TLS) / owner path, CPU', of: 'tls', over: 'owner', at: 64, figure: 'cpuMicros', must: 1.6, aim: 1.4 },
  { label: '   forwarded (Unix) / owner path, p50 at c1', of: 'sibling', over: 'owner', at: 1, figure: 'p50' },
  { label: '   forwarded (TLS) / owner path, p50 at c1', of: 'tls', over: 'owner', at: 1, figure: 'p50' },
  { label: '#9 2 workers / 1 worker, CPU', of: 'random', over: 'owner', at: 64, figure: 'cpuMicros', must: 1.5, aim: 1.3 },
  { label: '#8 owner path, Redis commands a request', of: 'owner', at: 64, figure: 'redis', must: 0.02, aim: 0.005 },
  { label: '#8 forwarded, Redis commands a request', of: 'sibling', at: 64, figure: 'redis', must: 0.05, aim: 0.02 },
];
const CONTROL_TOLERANCE = 0.1;

/**
 * @param rows one per measurement: { round, subject, connections, …figures }
 * @returns { text, summary, ratios, faults }; any fault voids the run
 */
export function makeReport(rows) {
  const summary = summarize(rows);
  const ratios = RATIOS.map((ratio) => evaluate(ratio, rows)).filter(({ value }) => Number.isFinite(value));
  const faults = findFaults(rows, ratios);
  return {
    text: [table(summary), '', ratioTable(ratios), ...faults.map((fault) => `VOID: ${fault}`)].join('\n'),
    summary,
    ratios,
    faults,
  };
}

function summarize(rows) {
  const groups = groupBy(rows);
  return [...groups.values()].map((group) => {
    const middle = (figure) => median(group.map((row) => row[figure]));
    return {
      subject: group[0].subject,
      connections: group[0].connections,
      ...Object.fromEntries(
        ['perSecond', 'cpuMicros', 'busy', 'p50', 'p95', 'p99', 'redis', 'forwarded'].map((name) => [name, middle(name)]),
      ),
      verified: group.reduce((sum, row) => sum + row.verified, 0),
      errors: group.reduce((sum, row) => sum + row.errors, 0),
      crossed: group.reduce((sum, row) => sum + row.crossed, 0),
    };
  });
}

function evaluate(ratio, rows) {
  const pick = (subject, round) =>
    rows.find((row) => row.subject === subject && row.round === round && row.connections === ratio.at);
  const rounds = [...new Set(rows.map(({ round }) => round))];
  const values = rounds
    .map(
      (round) =>
        (pick(ratio.of, round)?.[ratio.figure] ?? Number.NaN) /
        (ratio.over ? (pick(ratio.over, round)?.[ratio.figure] ?? Number.NaN) : 1),
    )
    .filter(Number.isFinite);
  return { ...ratio, value: median(values), low: Math.min(...values), high: Math.max(...values) };
}

function findFaults(rows, ratios) {
  const faults = rows
    .filter(({ errors, crossed }) => errors > 0 || crossed > 0)
    .map(
      (row) =>
        `${row.subject} c${row.connections} round ${row.round}: ${row.errors} errors, ${row.crossed} crossed; first: ${row.firstError}`,
    );
  const control = ratios.find(({ of }) => of === 'relay-again');
  if (control && Math.abs(control.value - 1) > CONTROL_TOLERANCE) {
    faults.push(`the control is off by ${((control.value - 1) * 100).toFixed(1)} %: the machine was not quiet`);
  }
  return faults;
}

function table(summary) {
  const head = [
    'subject',
    'conn',
    'req/s',
    'CPU us/req',
    'core busy',
    'p50 ms',
    'p95 ms',
    'p99 ms',
    'redis/req',
    'forwarded',
    'verified',
    'errors',
    'crossed',
  ];
  const lines = summary.map((row) => [
    row.subject,
    row.connections,
    row.perSecond.toFixed(0),
    number(row.cpuMicros, 1),
    percent(row.busy),
    number(row.p50, 3),
    number(row.p95, 3),
    number(row.p99, 3),
    number(row.redis, 4),
    percent(row.forwarded),
    row.verified,
    row.errors,
    row.crossed,
  ]);
  return grid([head, ...lines]);
}

function ratioTable(ratios) {
  const lines = ratios.map(({ label, value, low, high, must, aim }) => [
    label,
    value.toFixed(3),
    `${low.toFixed(3)} … ${high.toFixed(3)}`,
    must ?? '-',
    aim ?? '-',
    must === undefined ? '' : value <= aim ? 'aim' : value <= must ? 'must' : 'MISSED',
  ]);
  return grid([['ratio', 'median', 'range', 'must', 'aim', ''], ...lines]);
}

function grid(lines) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => String(line[column]).length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function groupBy(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(keyOf(row), [...(groups.get(keyOf(row)) ?? []), row]);
  return groups;
}

const keyOf = (row) => `${row.connections} ${row.subject}`;
const percent = (value) => (Number.isFinite(value) ? `${(value * 100).toFixed(0)} %` : '-');
const number = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : '-');

export function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
