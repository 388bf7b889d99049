// Turns rounds into ratios. A ratio is taken inside each round, where both sides took turns on the same machine, and then the median
// over the rounds: absolute figures drift by tens of per cent within an hour.
import { AGAIN, CONTROL_TOLERANCE, groupOf, verdictOf } from './budgets.mjs';

/**
 * @param rows one per measurement: { round, subject, kind, at, …figures }
 * @returns { text, summary, ratios, faults }; any fault voids the run
 */
export function makeReport(rows, budgets) {
  const controls = controlsOf(rows, budgets);
  const ratios = budgets.map((budget) => judge(budget, rows, controls)).filter(({ value }) => Number.isFinite(value));
  const faults = rows
    .filter(({ errors, crossed }) => errors > 0 || crossed > 0)
    .map(({ subject, kind, at, round, errors, crossed, firstError }) => {
      return `${subject} ${kind} at ${at}, round ${round}: ${errors} errors, ${crossed} crossed; first: ${firstError}`;
    });
  for (const { label, value, isOff } of controls) {
    if (isOff) faults.push(`${label} is off by ${((value - 1) * 100).toFixed(1)} %: the machine was not quiet`);
  }
  const summary = summarize(rows);
  const text = [table(summary), '', ratioTable([...controls, ...ratios]), ...faults.map((fault) => `VOID: ${fault}`)].join('\n');
  return { text, summary, controls, ratios, faults };
}

/** Of each load and figure that a budget looks at: the reference again over itself. */
function controlsOf(rows, budgets) {
  const again = rows.filter(({ subject }) => subject.endsWith(AGAIN));
  const wanted = new Map();
  for (const budget of budgets) {
    const row = budget.over && again.find((one) => groupOf(one) === groupOf(budget));
    if (!row) continue;
    const of = row.subject;
    const label = `control: ${of.replace(AGAIN, '')} again, ${budget.figure} (${groupOf(budget)})`;
    wanted.set(label, { ...budget, id: '', label, of, over: of.replace(AGAIN, ''), must: undefined, aim: undefined });
  }
  return [...wanted.values()].map((control) => {
    const judged = { ...control, ...figureOf(control, rows) };
    return { ...judged, isOff: Math.abs(judged.value - 1) > CONTROL_TOLERANCE };
  });
}

function judge(budget, rows, controls) {
  const control = controls.find((one) => groupOf(one) === groupOf(budget) && one.figure === budget.figure);
  const figures = figureOf(budget, rows);
  return { ...budget, ...figures, control, verdict: control?.isOff ? 'void' : verdictOf(budget, figures.value) };
}

function figureOf({ of, over, kind, at, figure }, rows) {
  const group = rows.filter((row) => row.kind === kind && row.at === at);
  const pick = (round, name) => {
    if (Array.isArray(name)) return pick(round, name[0]) - pick(round, name[1]);
    return group.find((row) => row.round === round && row.subject === name)?.[figure] ?? Number.NaN;
  };
  const values = [...new Set(group.map(({ round }) => round))]
    .map((round) => pick(round, of) / (over === undefined ? 1 : pick(round, over)))
    .filter(Number.isFinite);
  return { value: median(values), low: Math.min(...values), high: Math.max(...values), perRound: values };
}

const FIGURES = [
  'perSecond',
  'cpu',
  'cpuQuiet',
  'busy',
  'p50',
  'p95',
  'p99',
  'redis',
  'kib',
  'rssKib',
  'stallMs',
  'redisBytes',
  'redisAtRest',
];

function summarize(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = `${groupOf(row)} ${row.subject}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((group) => {
    const { subject, kind, at } = group[0];
    const sum = (name) => group.reduce((total, row) => total + (row[name] ?? 0), 0);
    const middle = Object.fromEntries(FIGURES.map((name) => [name, median(group.map((row) => row[name]))]));
    return { subject, kind, at, ...middle, verified: sum('verified'), errors: sum('errors'), crossed: sum('crossed') };
  });
}

/** Of measurements, as text. */
export function table(summary) {
  const columns = [
    ['subject', ({ subject }) => subject],
    ['load', groupOf],
    ['req/s', ({ perSecond }) => number(perSecond, 0)],
    ['CPU us', ({ cpu }) => number(cpu, 1)],
    ['quiet us', ({ cpuQuiet }) => number(cpuQuiet, 1)],
    ['busy', ({ busy }) => (Number.isFinite(busy) ? `${(busy * 100).toFixed(0)} %` : '-')],
    ...['p50', 'p95', 'p99'].map((name) => [`${name} ms`, (row) => number(row[name], 3)]),
    ['redis/req', ({ redis }) => number(redis, 4)],
    ['KiB', ({ kib }) => number(kib, 1)],
    ['RSS KiB', ({ rssKib }) => number(rssKib, 1)],
    ['stall ms', ({ stallMs }) => number(stallMs, 2)],
    ['redis B', ({ redisBytes }) => number(redisBytes, 0)],
    ['redis/s at rest', ({ redisAtRest }) => number(redisAtRest, 1)],
    ...['verified', 'errors', 'crossed'].map((name) => [name, (row) => row[name]]),
  ];
  const lines = summary.map((row) => columns.map(([, cell]) => String(cell(row))));
  const used = columns.map((_, index) => lines.some((line) => line[index] !== '-'));
  const keep = (line) => line.filter((_, index) => used[index]);
  return grid([keep(columns.map(([head]) => head)), ...lines.map(keep)]);
}

/** Of ratios and their budgets, as text. */
export function ratioTable(ratios) {
  const lines = ratios.map(({ id, label, value, low, high, must, aim, isLeast, isOff, verdict = isOff ? 'OFF' : '' }) => [
    `${id || ''}`.padStart(2),
    label,
    value.toFixed(3),
    `${low.toFixed(3)} … ${high.toFixed(3)}`,
    must === undefined ? '-' : `${isLeast ? '>=' : '<='} ${must}`,
    aim ?? '-',
    verdict,
  ]);
  return grid([['#', 'ratio', 'median', 'range', 'must', 'aim', ''], ...lines], 2);
}

function grid(lines, left = 1) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => String(line[column]).length)));
  const pad = (cell, i) => (i < left ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]));
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}

const number = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : '-');

export function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
